/** Draws the daily means of every station into one page, as an artifact. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Context } from "airlock";

type Day = {
  readonly station: string;
  readonly day: string;
  readonly no2: number;
  readonly bad: boolean;
};
type Args = {
  readonly stations: readonly { readonly name: string; readonly days: readonly Day[] }[];
  readonly worst: readonly { readonly station: string; readonly bad_days: number }[];
  readonly day: string;
};

export default async ({ stations, worst, day }: Args, { artifacts, log }: Context) => {
  const top = Math.max(...stations.flatMap(({ days }) => days.map(({ no2 }) => no2)));
  const lines = stations.map(({ name, days }, at) => {
    const points = days.map(
      ({ no2 }, x) => `${x * 50 + 20},${(290 - (no2 / top) * 260).toFixed(1)}`,
    );
    return `<polyline points="${points.join(" ")}" stroke="hsl(${at * 45} 60% 40%)"/>
<text x="${days.length * 50 - 20}" y="${points.at(-1)?.split(",")[1] ?? "0"}">${escaped(name)}</text>`;
  });
  const note =
    worst[0] === undefined
      ? "No bad day anywhere."
      : `Most bad days: ${worst.map((one) => `${one.station} (${one.bad_days})`).join(", ")}.`;
  await writeFile(
    join(artifacts, "air.html"),
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>NO₂ per day</title>
<style>body{font:16px system-ui;margin:2rem;color:#222}polyline{fill:none;stroke-width:2}text{font-size:12px}</style>
<h1>NO₂ per day, as of ${escaped(day)}</h1><svg viewBox="0 0 860 300" width="860" role="img">${lines.join("\n")}</svg>
<p>${escaped(note)}</p></html>`,
  );
  log.info(note);
  return { note };
};

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
