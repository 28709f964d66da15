import { expect, test } from "vitest";
import { jsonOf, shown, sliceLikePython } from "./answer-requests.ts";

// Taken from Python: list(range(5))[start:stop:step].
test.each([
  [undefined, undefined, undefined, [0, 1, 2, 3, 4]],
  [1, 3, undefined, [1, 2]],
  [-2, undefined, undefined, [3, 4]],
  [undefined, -1, undefined, [0, 1, 2, 3]],
  [undefined, undefined, 2, [0, 2, 4]],
  [undefined, undefined, -1, [4, 3, 2, 1, 0]],
  [3, 0, -1, [3, 2, 1]],
  [10, 20, undefined, []],
  [-100, 100, undefined, [0, 1, 2, 3, 4]],
  [100, -100, -2, [4, 2, 0]],
])("a slice [%s:%s:%s] is Python's", (start, stop, step, expected) => {
  expect(sliceLikePython([0, 1, 2, 3, 4], start, stop, step)).toEqual(expected);
});

test("what JSON cannot say is refused with its name", () => {
  for (const value of [2n ** 60n, Number.NaN, Number.POSITIVE_INFINITY, Buffer.from("x")])
    expect(() => jsonOf([{ a: value }], "the value")).toThrow(/^the value holds /);
  expect(jsonOf([{ a: null }, 1.5, "x"], "v")).toEqual([{ a: null }, 1.5, "x"]);
});

test("what is only looked at is shown as text where JSON cannot say it: no task fails for its view", () => {
  expect(
    shown({ id: 2n ** 60n, rate: Number.NaN, raw: Buffer.from("abc"), on: [1, null, "x"] }),
  ).toEqual({
    id: "1152921504606846976",
    rate: "NaN",
    raw: "3 bytes",
    on: [1, null, "x"],
  });
});
