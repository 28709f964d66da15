import { expect, test } from "vitest";
import {
  codeOfState,
  type GridHead,
  readGrid,
  stateCodeMax,
  stateOfCode,
  writeGrid,
} from "./grid-matrix.ts";

type Head = GridHead<{ readonly run_id: string }>;
const readHead = (raw: unknown): Head | undefined => {
  const head = raw as Partial<Head> | null;
  return typeof head?.tasks === "number" &&
    Array.isArray(head.runs) &&
    typeof head.times === "boolean"
    ? (head as Head)
    : undefined;
};
const sample = (times: boolean): Uint8Array<ArrayBuffer> =>
  writeGrid(
    { tasks: 3, runs: [{ run_id: "a" }, { run_id: "b\u202e<img>" }], times },
    {
      states: Uint8Array.from([1, 2, 3, 0, 5, stateCodeMax]),
      counts: new Map([
        [
          5,
          new Map([
            [3, 100_000],
            [stateCodeMax, 1],
          ]),
        ],
      ]),
      ran: Float32Array.from([1.5, Number.NaN, 0, 1, 2, 3]),
      waited: Float32Array.from([0, 1, 2, 3, 4, 5]),
    },
  );

test("what was written is read", () => {
  for (const times of [false, true]) {
    const read = readGrid(sample(times).buffer, readHead);
    if (!read.ok) throw new Error(read.problem);
    expect(read.value.head.runs.map(({ run_id }) => run_id)).toEqual(["a", "b\u202e<img>"]);
    expect([...read.value.planes.states]).toEqual([1, 2, 3, 0, 5, stateCodeMax]);
    expect(read.value.planes.counts.get(5)?.get(3)).toBe(100_000);
    expect(read.value.planes.ran?.[0]).toBe(times ? 1.5 : undefined);
    expect(read.value.planes.waited?.[5]).toBe(times ? 5 : undefined);
  }
});

test("every state has a byte of its own, and a strange one has none", () => {
  for (let code = 1; code <= stateCodeMax; code += 1) {
    const state = stateOfCode(code);
    expect(codeOfState(state === undefined ? "?" : state)).toBe(code);
  }
  expect(codeOfState("__proto__")).toBe(0);
  expect(stateOfCode(0)).toBeUndefined();
});

test("bytes that were cut anywhere are refused, never read past their end", () => {
  const whole = sample(true);
  for (let length = 0; length < whole.length; length += 1)
    expect(readGrid(whole.slice(0, length).buffer, readHead).ok).toBe(false);
  expect(readGrid(Uint8Array.from([...whole, 0]).buffer, readHead).ok).toBe(false);
});

test("no byte that is changed makes it throw, and no state is made up", () => {
  const whole = sample(true);
  const madeUp: string[] = [];
  for (let at = 0; at < whole.length; at += 1)
    for (const value of [0, 1, 0x7f, 0xff]) {
      const changed = whole.slice();
      changed[at] = value;
      const read = readGrid(changed.buffer, readHead);
      if (read.ok)
        for (const code of read.value.planes.states)
          if (code > stateCodeMax) madeUp.push(`byte ${at}, value ${value}: state ${code}`);
    }
  expect(madeUp).toEqual([]);
});

test("a head that promises more than there is, or nonsense, is refused", () => {
  const lying = (head: object): boolean =>
    readGrid(
      writeGrid({ tasks: 0, runs: [], times: false, ...head } as never, {
        states: new Uint8Array(0),
        counts: new Map(),
        ran: undefined,
        waited: undefined,
      }).buffer,
      readHead,
    ).ok;
  expect(lying({})).toBe(true);
  const bytes = (head: string): ArrayBuffer => {
    const text = new TextEncoder().encode(head);
    const out = new Uint8Array(12 + text.length);
    out.set([0x41, 0x4c, 0x47, 0x31]);
    new DataView(out.buffer).setUint32(4, text.length, true);
    out.set(text, 8);
    return out.buffer;
  };
  for (const head of [
    '{"tasks":1e12,"runs":[1],"times":false}',
    '{"tasks":-1,"runs":[1],"times":false}',
    '{"tasks":0.5,"runs":[1],"times":false}',
    "null",
    "{",
    "[]",
  ])
    expect(readGrid(bytes(head), readHead).ok, `${head}`).toBe(false);
  expect(readGrid(bytes('{"tasks":0,"runs":[],"times":false}'), readHead).ok).toBe(true);
});
