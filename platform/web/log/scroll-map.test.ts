import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type Field,
  heightOf,
  isScaled,
  moved,
  scrollAt,
  topAt,
  topFor,
  topMax,
  turned,
  walked,
} from "./scroll-map.ts";

const small: Field = { rows: 1_000, rowHeight: 20, viewport: 600 };
const huge: Field = { rows: 10_000_000, rowHeight: 20, viewport: 600 };

test("a log that a browser can hold scrolls pixel by pixel", () => {
  expect(isScaled(small)).toBe(false);
  expect(heightOf(small)).toBe(20_000);
  expect(topAt(210, small)).toBe(10.5);
  expect(topAt(99_999, small)).toBe(topMax(small));
  expect(topMax(small)).toBe(970);
});

test("ten million lines fit below a browser's bound, and both ends are reached", () => {
  expect(heightOf(huge)).toBeLessThan(17_000_000);
  expect(topAt(0, huge)).toBe(0);
  expect(topAt(heightOf(huge) - huge.viewport, huge)).toBe(10_000_000 - 30);
  expect(topAt(1e12, huge)).toBe(topMax(huge));
});

test("in a scaled log a wheel or a finger moves by its pixels, a drag of the bar jumps", () => {
  const at = { top: 5_000_000, scroll: scrollAt(5_000_000, huge) };
  expect(turned(at, 100, huge).top).toBeCloseTo(5_000_005);
  expect(moved(at, at.scroll + 100, huge).top).toBeCloseTo(5_000_005);
  expect(moved(at, 0, huge).top).toBe(0);
  expect(moved(at, heightOf(huge) - 600, huge).top).toBe(topMax(huge));
  expect(moved(at, 6_000_000, huge).top).toBe(topAt(6_000_000, huge));
});

test("where one is and where the bar stands agree, for any log and window", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 20_000_000 }),
      fc.integer({ min: 40, max: 3_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (rows, viewport, part) => {
        const field = { rows, rowHeight: 20, viewport };
        const top = part * topMax(field);
        const back = topAt(scrollAt(top, field), field);
        // A pixel of the scaled bar is so many rows.
        expect(Math.abs(back - top)).toBeLessThan(0.01);
        expect(scrollAt(top, field)).toBeLessThanOrEqual(
          Math.max(0, heightOf(field) - viewport) + 1e-6,
        );
      },
    ),
  );
});

test("a row that is in sight is not moved, another one comes to a third of the height", () => {
  expect(topFor(105, 100, small)).toBe(100);
  expect(topFor(500, 100, small)).toBe(490);
  expect(topFor(2, 100, small)).toBe(0);
  expect(topFor(999, 100, small)).toBe(970);
});

test("an empty log has no place to go", () => {
  const none = { ...small, rows: 0 };
  expect([topMax(none), topAt(50, none), scrollAt(3, none), heightOf(none)]).toEqual([0, 0, 0, 0]);
});

test("rows of several lines are walked through pixel by pixel, and the end fills the window", () => {
  const field = { rows: 10, rowHeight: 20, viewport: 100, loose: true };
  const linesOf = (row: number): number => (row === 1 ? 4 : 1);
  expect(walked(0, 20, field, linesOf)).toBe(1);
  expect(walked(1, 40, field, linesOf)).toBe(1.5);
  expect(walked(1.5, -30, field, linesOf)).toBe(1.125);
  expect(walked(1.5, 60, field, linesOf)).toBe(3);
  expect(walked(0, -50, field, linesOf)).toBe(0);
  expect(walked(10, -100, field, linesOf)).toBe(5);
  expect(walked(9, 500, field, linesOf)).toBe(9);
  expect(walked(0, 100, { ...field, rows: 0 }, linesOf)).toBe(0);
});
