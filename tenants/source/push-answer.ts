/**
 * Speaks to the person who pushes, inside the answer of `git receive-pack`: our lines travel as band 2 of
 * the side band (what git shows as `remote: …`), between git's own report and the closing flush, exactly
 * where a post-receive hook's output would be. No hook, no process, nothing that waits on a pipe.
 */
import { Transform, type TransformCallback } from "node:stream";

/** `afterReport` gets the refs that git says it updated, and yields lines for the person. */
export function answerPush(
  afterReport: (updated: readonly string[]) => AsyncIterable<string>,
): Transform {
  let held: Buffer = Buffer.alloc(0);
  let report: Buffer = Buffer.alloc(0);
  /** A client without side band would take our lines for its report: it gets none. */
  let sideBand = false;
  let flushed = false;

  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      for (;;) {
        const size = packetSize(held);
        if (size === undefined || held.length < size) break;
        const packet = held.subarray(0, size);
        held = held.subarray(size);
        if (size === 4) {
          flushed = true;
          // Held back: it ends the conversation.
          break;
        }
        if (packet[4] === 1) {
          sideBand = true;
          if (report.length < 256 * 1024) report = Buffer.concat([report, packet.subarray(5)]);
        } else if (packet[4] === 2) sideBand = true;
        this.push(packet);
      }
      done();
    },
    flush(done: TransformCallback) {
      const speak = async (): Promise<void> => {
        const updated = updatedRefs(report);
        if (flushed && sideBand && updated.length > 0)
          for await (const line of afterReport(updated)) this.push(asRemoteLine(line));
        if (flushed) this.push("0000");
        if (held.length > 0) this.push(held);
      };
      speak().then(
        () => done(),
        (cause: unknown) => done(new Error("the answer to a push broke off", { cause })),
      );
    },
  });
}

/** Of the packet at the start, its four length digits included; what is no packet is passed on as it is. */
function packetSize(bytes: Buffer): number | undefined {
  if (bytes.length < 4) return undefined;
  const digits = bytes.toString("latin1", 0, 4);
  if (!/^[0-9a-f]{4}$/i.test(digits)) return bytes.length;
  const size = Number.parseInt(digits, 16);
  return size < 4 ? 4 : size;
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
  return Buffer.concat([
    Buffer.from((text.length + 5).toString(16).padStart(4, "0")),
    Buffer.from([2]),
    text,
  ]);
}
