/**
 * The grid of a DAG (runs × tasks) as bytes: one byte per cell for its state, so that 5,000 tasks × 50 runs are
 * 250 kB. One file for who writes it and who reads it; the reader trusts nothing.
 *
 *   "ALG1" | length of head (u32) | head (JSON) | states | counts | times
 *   states  runs × tasks bytes, run by run: 0 the run does not have the task, else a state (`gridStates`)
 *   counts  of mapped tasks, a record per cell: cell (u32), n (u8), n × (state u8, instances u32)
 *   times   only when asked for: runs × tasks of seconds it ran (f32), then of seconds it waited (f32); NaN unknown
 *
 * All numbers are little-endian.
 */
import { type Answer, bad, good } from "./answer.ts";
import type { TaskState } from "./states.ts";

/** The place of a state in this list, plus one, is its byte. From the calmest to the one that wants to be looked at first. */
const gridStates = [
  "removed",
  "skipped",
  "success",
  null,
  "scheduled",
  "deferred",
  "up_for_reschedule",
  "queued",
  "restarting",
  "running",
  "up_for_retry",
  "upstream_failed",
  "failed",
] as const satisfies readonly TaskState[];

/** No such task in the run. */
export const absent = 0;
export const stateCodeMax = gridStates.length;

const codes = new Map<string | null, number>(gridStates.map((state, at) => [state, at + 1]));
export const codeOfState = (state: string | null): number => codes.get(state) ?? absent;
/** undefined: absent. */
export const stateOfCode = (code: number): TaskState | undefined => gridStates[code - 1];

/** Of many instances the state that stands for them: the one to look at first. */
export const worse = (a: number, b: number): number => Math.max(a, b);

export type GridHead<Run> = {
  readonly tasks: number;
  readonly runs: readonly Run[];
  readonly times: boolean;
};

/** Instances by state code. */
export type Counts = ReadonlyMap<number, number>;

export type GridPlanes = {
  readonly states: Uint8Array;
  /** Of mapped tasks, by cell. */
  readonly counts: ReadonlyMap<number, Counts>;
  readonly ran: Float32Array | undefined;
  readonly waited: Float32Array | undefined;
};

const magic = 0x31_47_4c_41; // "ALG1"
const headMax = 16_000_000;
const cellsMax = 40_000_000;

export function writeGrid(
  head: GridHead<unknown> & Readonly<Record<string, unknown>>,
  planes: GridPlanes,
): Uint8Array<ArrayBuffer> {
  const headBytes = new TextEncoder().encode(JSON.stringify(head));
  const cells = head.tasks * head.runs.length;
  const countBytes = [...planes.counts.values()].reduce(
    (sum, counts) => sum + 5 + counts.size * 5,
    0,
  );
  const times = head.times ? cells * 8 : 0;
  const bytes = new Uint8Array(8 + headBytes.length + cells + 4 + countBytes + times);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, true);
  view.setUint32(4, headBytes.length, true);
  bytes.set(headBytes, 8);
  let at = 8 + headBytes.length;
  bytes.set(planes.states, at);
  at += cells;
  view.setUint32(at, planes.counts.size, true);
  at += 4;
  for (const [cell, counts] of planes.counts) {
    view.setUint32(at, cell, true);
    view.setUint8(at + 4, counts.size);
    at += 5;
    for (const [code, count] of counts) {
      view.setUint8(at, code);
      view.setUint32(at + 1, count, true);
      at += 5;
    }
  }
  if (head.times)
    for (const plane of [planes.ran, planes.waited]) {
      // Copied as bytes: the place is not aligned. All machines that this runs on are little-endian.
      if (plane !== undefined)
        bytes.set(new Uint8Array(plane.buffer, plane.byteOffset, cells * 4), at);
      at += cells * 4;
    }
  return bytes;
}

/** `readHead`: from unknown JSON to the caller's head, or undefined. */
export function readGrid<Head extends GridHead<unknown>>(
  buffer: ArrayBuffer,
  readHead: (raw: unknown) => Head | undefined,
): Answer<{ readonly head: Head; readonly planes: GridPlanes }, string> {
  if (buffer.byteLength < 8) return bad("it ends before it begins");
  const view = new DataView(buffer);
  if (view.getUint32(0, true) !== magic) return bad("it is no grid");
  const headLength = view.getUint32(4, true);
  let at = 8 + headLength;
  if (headLength > headMax || at > buffer.byteLength) return bad("its head is cut off");
  let head: Head | undefined;
  try {
    head = readHead(
      JSON.parse(
        new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(buffer, 8, headLength)),
      ),
    );
  } catch {
    head = undefined;
  }
  if (head === undefined) return bad("its head is not readable");
  const cells = head.tasks * head.runs.length;
  if (!Number.isSafeInteger(cells) || cells < 0 || cells > cellsMax) return bad("it is too large");
  if (at + cells + 4 > buffer.byteLength) return bad("its states are cut off");
  const states = new Uint8Array(buffer.slice(at, at + cells));
  for (let cell = 0; cell < cells; cell += 1)
    if ((states[cell] ?? 0) > stateCodeMax) return bad("it holds a state that there is not");
  at += cells;
  const counts = new Map<number, Counts>();
  const records = view.getUint32(at, true);
  at += 4;
  for (let record = 0; record < records; record += 1) {
    if (at + 5 > buffer.byteLength) return bad("its counts are cut off");
    const cell = view.getUint32(at, true);
    const size = view.getUint8(at + 4);
    at += 5;
    if (cell >= cells || size > stateCodeMax || at + size * 5 > buffer.byteLength)
      return bad("its counts are not readable");
    const found = new Map<number, number>();
    for (let i = 0; i < size; i += 1, at += 5) {
      const code = view.getUint8(at);
      if (code === absent || code > stateCodeMax) return bad("it counts a state that there is not");
      found.set(code, view.getUint32(at + 1, true));
    }
    counts.set(cell, found);
  }
  const left = buffer.byteLength - at;
  if (left !== (head.times ? cells * 8 : 0)) return bad("its times are not of its size");
  const floats = (from: number): Float32Array =>
    new Float32Array(buffer.slice(from, from + cells * 4));
  return good({
    head,
    planes: {
      states,
      counts,
      ran: head.times ? floats(at) : undefined,
      waited: head.times ? floats(at + cells * 4) : undefined,
    },
  });
}
