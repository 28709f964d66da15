import { expect, test } from "vitest";
import { axisTimes } from "./time-axis.ts";

const utc = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace("T", " ");
const at = (text: string): number => Date.parse(`${text}Z`) / 1000;

test("hours are said with the day where it begins, and never as am or pm", () => {
  const ticks = ["2026-11-23T20:00", "2026-11-24T00:00", "2026-11-24T04:00", "2026-11-24T16:00"];
  expect(axisTimes(ticks.map(at), utc)).toEqual([
    "20:00\n2026-11-23",
    "00:00\n11-24",
    "04:00",
    "16:00",
  ]);
});

test("whole days are dates, with the year at first and where it changes", () => {
  const ticks = ["2026-12-30T00:00", "2026-12-31T00:00", "2027-01-01T00:00", "2027-01-02T00:00"];
  expect(axisTimes(ticks.map(at), utc)).toEqual(["2026-12-30", "12-31", "2027-01-01", "01-02"]);
});

test("a time that is no whole minute says its seconds, for all", () => {
  expect(axisTimes([at("2026-11-24T10:00:00"), at("2026-11-24T10:00:30")], utc)).toEqual([
    "10:00:00\n2026-11-24",
    "10:00:30",
  ]);
  expect(axisTimes([], utc)).toEqual([]);
});

test("the day is that of the zone, not that of Greenwich", () => {
  const east = (ms: number): string => utc(ms + 2 * 3_600_000);
  expect(axisTimes([at("2026-11-23T22:00"), at("2026-11-23T23:00")], east)).toEqual([
    "00:00\n2026-11-24",
    "01:00",
  ]);
});
