/**
 * Speaks to the person who pushes, inside the answer of `git receive-pack`: our lines travel as band 2 of
 * the side band (what git shows as `remote: …`), between git's own report and the closing flush, exactly
 * where a post-receive hook's output would be. No hook, no process, nothing that waits on a pipe.
 */

const reportBytesMax = 256 * 1024;

/** Passes git's answer on. `afterReport` gets the refs that git says it updated, and yields lines for the person. */
export async function* tellPusher(
  answer: AsyncIterable<Buffer>,
  afterReport: (updated: readonly string[]) => AsyncIterable<string>,
): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  let report: Buffer = Buffer.alloc(0);
  /** A client without side band would take our lines for its report: it gets none. */
  let hasSideBand = false;
  let isFlushed = false;
  for await (const chunk of answer) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    // The flush is held back: it ends the conversation.
    while (!isFlushed) {
      const size = packetSize(held);
      if (size === undefined || held.length < size) break;
      const packet = held.subarray(0, size);
      held = held.subarray(size);
      if (size === 4) {
        isFlushed = true;
        break;
      }
      if (packet[4] === 1 || packet[4] === 2) hasSideBand = true;
      if (packet[4] === 1 && report.length < reportBytesMax)
        report = Buffer.concat([report, packet.subarray(5)]);
      yield packet;
    }
  }
  const updated = updatedRefs(report);
  if (isFlushed && hasSideBand && updated.length > 0)
    for await (const line of afterReport(updated)) yield asRemoteLine(line);
  if (isFlushed) yield Buffer.from("0000");
  if (held.length > 0) yield held;
}

/** Of the packet at the start, its four length digits included; what is no packet is passed on as it is. */
function packetSize(bytes: Buffer): number | undefined {
  if (bytes.length < 4) return undefined;
  const digits = bytes.toString("latin1", 0, 4);
  if (!/^[0-9a-f]{4}$/i.test(digits)) return bytes.length;
  return Math.max(Number.parseInt(digits, 16), 4);
}

/** Of git's report-status: `ok <ref>` lines, themselves packets. */
function updatedRefs(report: Buffer): string[] {
  const refs: string[] = [];
  let rest = report;
  for (
    let size = packetSize(rest);
    size !== undefined && size <= rest.length;
    size = packetSize(rest)
  ) {
    const line = rest.toString("utf8", 4, size).trimEnd();
    if (line.startsWith("ok ")) refs.push(line.slice(3));
    rest = rest.subarray(size);
  }
  return refs;
}

const lineBytesMax = 1000;

function asRemoteLine(line: string): Buffer {
  // Control characters would let a file name or an error of a tenant's steer the terminal of who pushes.
  // oxlint-disable-next-line no-control-regex -- control characters are what it removes
  const clean = line.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029]+/g, " ");
  const text = Buffer.concat([Buffer.from(clean).subarray(0, lineBytesMax), Buffer.from("\n")]);
  const size = (text.length + 5).toString(16).padStart(4, "0");
  return Buffer.concat([Buffer.from(size), Buffer.from([2]), text]);
}
