import { expect, test } from "vitest";
import { isName, mean, percentile, toFigure } from "./measure.ts";

test("a percentile is one of the values, whatever their order", () => {
  const values = [5, 1, 4, 2, 3];
  expect(percentile(values, 0.5)).toBe(3);
  expect(percentile(values, 0.99)).toBe(5);
  expect(percentile(values, 0)).toBe(1);
  expect(
    percentile(
      Array.from({ length: 200 }, (_, i) => i + 1),
      0.99,
    ),
  ).toBe(198);
});

test("nothing has no percentile and no mean", () => {
  expect(() => percentile([], 0.5)).toThrow("nothing");
  expect(() => mean([])).toThrow("nothing");
});

test("a figure carries promise, floor and how many times the floor it is", () => {
  expect(toFigure("three-steps-p50", { value: 12.44, floor: 6.1, samples: 50 })).toEqual({
    name: "three-steps-p50",
    value: 12.4,
    unit: "ms",
    target: 15,
    floor: 6.1,
    ratio: 2.04,
    samples: 50,
  });
});

test("of a rate the ratio says how many times slower than the floor", () => {
  const figure = toFigure("workflows-per-second", { value: 100, floor: 250, samples: 300 });
  expect(figure.ratio).toBe(2.5);
});

test("without a floor there is no ratio", () => {
  expect(toFigure("idle-cpu", { value: 0.4, floor: 0, samples: 1 }).ratio).toBeNull();
  expect(toFigure("fib40", { value: 1, floor: null, samples: 1 })).toMatchObject({
    floor: null,
    ratio: null,
  });
});

test("only names that were promised can be reported", () => {
  expect(isName("hop-p50")).toBe(true);
  expect(isName("toString")).toBe(false);
});
