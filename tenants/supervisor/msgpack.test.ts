import { expect, test } from "vitest";
import { FrameCutter, frameOf } from "./frames.ts";
import { decode, encode } from "./msgpack.ts";

test.each([
  [null],
  [true],
  [0],
  [127],
  [128],
  [-1],
  [-33],
  [2 ** 31],
  [-(2 ** 40)],
  [1.5],
  ["ä".repeat(40)],
  ["x".repeat(70_000)],
  [[1, [2, { a: [] }]]],
  [Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${String(i)}`, i]))],
  [Array.from({ length: 70_000 }, () => 1)],
])("what is written is read again (%#)", (value) => {
  expect(decode(encode(value))).toEqual(value);
});

test("times become ISO strings, large integers stay exact, a key cannot change the object", () => {
  expect(decode(Buffer.from("d6ff65920080", "hex"))).toBe("2024-01-01T00:00:00.000000Z");
  expect(decode(Buffer.from("d7ff77359400" + "65920080", "hex"))).toMatch(
    /^2024-01-01T00:00:00\.5/,
  );
  expect(decode(Buffer.from("cfffffffffffffffff", "hex"))).toBe(2n ** 64n - 1n);
  const map = decode(
    Buffer.concat([
      Buffer.from([0x81, 0xa9]),
      Buffer.from("__proto__"),
      Buffer.from([0x81, 0xa1, 0x78, 1]),
    ]),
  );
  expect(Object.getPrototypeOf(map)).toBe(Object.prototype);
  expect((map as { x?: unknown }).x).toBeUndefined();
});

test.each([
  ["an array that declares four billion elements", "ddffffffff"],
  ["a map that declares four billion pairs", "dfffffffff"],
  ["a text longer than its frame", "dbffffffff61"],
  ["an unknown extension", "d40100"],
  ["a type byte that does not exist", "c1"],
  ["bytes after the value", "0101"],
  ["nothing", ""],
  ["a map key that is a list", "819001"],
  ["nesting without end", "91".repeat(100) + "01"],
])("%s is refused before anything is allocated", (_, hex) => {
  const before = process.memoryUsage().heapUsed;
  expect(() => decode(Buffer.from(hex, "hex"))).toThrow(/^a frame /);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(8 << 20);
});

test("frames are cut wherever the stream was cut, and too long ones are refused by their length alone", () => {
  const bytes = Buffer.concat([
    frameOf([1, "a"]),
    frameOf([2, { b: "c".repeat(300) }]),
    frameOf(null),
  ]);
  for (const step of [1, 3, 7, 1000]) {
    const cutter = new FrameCutter(1000);
    const frames: unknown[] = [];
    for (let i = 0; i < bytes.length; i += step) {
      cutter.push(bytes.subarray(i, i + step));
      for (let frame = cutter.take(); frame !== undefined; frame = cutter.take())
        frames.push(frame);
    }
    expect(frames).toEqual([[1, "a"], [2, { b: "c".repeat(300) }], null]);
  }
  const cutter = new FrameCutter(100);
  cutter.push(Buffer.from([0, 0, 1, 0]));
  expect(() => cutter.take()).toThrow("over the limit");
});
