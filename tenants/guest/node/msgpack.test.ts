import fc from "fast-check";
import { expect, test } from "vitest";
import { FrameReader, frame } from "./frames.ts";
import { decode, encode } from "./msgpack.ts";

test("whatever JSON can say survives the way, integers as integers", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const plain: unknown = JSON.parse(JSON.stringify(value));
      expect(decode(encode(plain))).toEqual(plain);
    }),
    { numRuns: 300 },
  );
  expect(encode(5_000_000_000)[0]).toBe(0xd3);
  expect(decode(encode({ big: 2 ** 53 - 1, least: -(2 ** 53) + 1, half: 0.5 }))).toEqual({
    big: 2 ** 53 - 1,
    least: -(2 ** 53) + 1,
    half: 0.5,
  });
});

test("a short frame cannot claim a long list, map or text, nor nest without end", () => {
  for (const bomb of [
    Buffer.of(0xdd, 0xff, 0xff, 0xff, 0xff),
    Buffer.of(0xdf, 0xff, 0xff, 0xff, 0xff),
    Buffer.of(0xdb, 0xff, 0xff, 0xff, 0xff),
    Buffer.alloc(10_000, 0x91),
    Buffer.from("c1", "hex"),
    Buffer.of(1, 2),
  ])
    expect(() => decode(bomb)).toThrow(/msgpack/);
});

test("random bytes are a value or an error, never a hang", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        decode(Buffer.from(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
  );
});

test("times are read in all three lengths, and __proto__ is a key like any other", () => {
  const four = Buffer.from("d6ff00000000", "hex");
  const twelve = Buffer.from("c70cff1dcd65000000000000000001", "hex");
  expect(decode(four)).toBe("1970-01-01T00:00:00.000000+00:00");
  expect(decode(twelve)).toBe("1970-01-01T00:00:01.500000+00:00");
  const evil = decode(encode(JSON.parse('{"__proto__":{"polluted":1}}'))) as object;
  expect(Object.keys(evil)).toEqual(["__proto__"]);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});

test("frames come out whole however they were cut", () => {
  const values = [{ a: 1 }, "x".repeat(70_000), [1, [2]]];
  const bytes = Buffer.concat(values.map(frame));
  for (const step of [1, 7, 4096, bytes.length]) {
    const reader = new FrameReader();
    const seen: unknown[] = [];
    for (let at = 0; at < bytes.length; at += step)
      seen.push(...reader.push(bytes.subarray(at, at + step)));
    expect(seen).toEqual(values);
  }
  expect(() => [...new FrameReader().push(Buffer.of(0xff, 0, 0, 0))]).toThrow(/frame of/);
});
