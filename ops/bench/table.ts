/** `node ops/bench/table.ts results/FILE.jsonl`: the figures of a run as a Markdown table. */
import { existsSync, readFileSync } from "node:fs";
import type { Figure } from "./measure.ts";

const [file] = process.argv.slice(2);
if (file === undefined || !existsSync(file)) {
  process.stderr.write(
    `${file === undefined ? "" : `there is no file ${file}\n`}usage: node ops/bench/table.ts FILE.jsonl\n`,
  );
  process.exit(2);
}
process.stdout.write(toTable(readFigures(readFileSync(file, "utf8"))));

function readFigures(text: string): Figure[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith('{"name":'))
    .map((line) => JSON.parse(line) as Figure);
}

function toTable(figures: readonly Figure[]): string {
  const cell = (value: number | null): string => (value === null ? "–" : String(value));
  const rows = figures.map(
    ({ name, value, unit, target, floor, ratio, samples }) =>
      `| \`${name}\` | ${value} ${unit} | ${cell(target)} | ${cell(floor)} | ${cell(ratio)} | ${samples} |`,
  );
  return [
    "| name | value | promised | floor | times the floor | samples |",
    "|---|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
