import { expect, test } from "vitest";
import { fingerprint } from "./fingerprint.ts";

test.each<[string, string, string]>([
  ["numbers", "row 17 of 230 is bad", "row 4 of 99 is bad"],
  ["numbers with points and commas", "took 1.5 s, 1,234 rows", "took 99.25 s, 7 rows"],
  ["numbers in a word", "no such order_12345", "no such order_7"],
  [
    "ids",
    "job 6f9619ff-8b86-d011-b42d-00c04fc964ff gone",
    "job 00000000-8b86-d011-b42d-00c04fc964aa gone",
  ],
  ["hashes", "commit deadbeef1234 is not there", "commit 0123456789abcdef is not there"],
  ["places in memory", "<Client at 0x7f00aa>", "<Client at 0x55ee>"],
  [
    "times",
    "no data for 2026-11-24T06:00:00+00:00 yet",
    "no data for 2026-11-23 05:30:00.123456Z yet",
  ],
  ["times of day", "at 06:00:00 it was late", "at 23:59:59.5 it was late"],
  ["paths", "cannot open /data/in/2026/a.csv", "cannot open /tmp/x9/b.parquet"],
  ["paths of other systems", "cannot open C:\\in\\a.csv", "cannot open D:\\out\\deep\\b.csv"],
  ["addresses", "GET https://a.example/x?id=1 failed", "GET http://b.example:8080/y failed"],
  ["hosts", "cannot reach 10.0.0.7:5432", "cannot reach 192.168.1.20"],
  ["people", "no mail to ann@example.org", "no mail to bob.x+y@mail.example.org"],
  ["lists of different length", "missing 1, 2, 3", "missing 4, 5"],
  ["blanks and lines", "a\n   b  3", "a b 4"],
])("%s are folded: one cause", (_what, a, b) => {
  expect(fingerprint(a)).toBe(fingerprint(b));
  expect(fingerprint(a)).not.toBe("");
});

test.each<[string, string]>([
  ["KeyError: 'price'", "KeyError: 'amount'"],
  ["ValueError: bad row", "TypeError: bad row"],
  ["the worker died", "the sandbox ended it: out of memory"],
  ["the cafe added a facade", "the cafe added a decade"],
  ["read and/or write", "read or write"],
])("%j and %j are two causes", (a, b) => {
  expect(fingerprint(a)).not.toBe(fingerprint(b));
});

test("no reason is one cause, however it is written", () => {
  expect(fingerprint(null)).toBe("");
  expect(fingerprint("  \n ")).toBe("");
});

test("what a tenant wrote costs no time, and is bounded", () => {
  for (const hostile of [
    "a".repeat(100_000),
    "1".repeat(100_000),
    "/a".repeat(50_000),
    "a@".repeat(50_000),
    "2026-".repeat(20_000),
    "\u202E<img onerror=alert(1)>\u0000",
  ])
    expect(fingerprint(hostile).length).toBeLessThanOrEqual(300);
});
