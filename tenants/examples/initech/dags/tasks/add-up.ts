/** Daily means of one station. Hours without a value are left out of the mean. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

type Args = {
  readonly station: { readonly station: string; readonly name: string };
  readonly limit: number;
};

export default ({ station, limit }: Args) => {
  const rows = readFileSync(join(import.meta.dirname, "../../data/air.csv"), "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(","))
    .filter(([id]) => id === station.station);
  const days = [...Map.groupBy(rows, (row) => (row[1] ?? "").slice(0, 10))].map(([day, hours]) => {
    const no2 = mean(hours.map((row) => row[2]));
    const pm10 = mean(hours.map((row) => row[3]));
    return { station: station.station, day, no2, pm10, bad: no2 > limit };
  });
  return { name: station.name, days };
};

function mean(texts: readonly (string | undefined)[]): number {
  const values = texts
    .filter((text) => text !== undefined && text !== "" && text !== "n/a")
    .map(Number);
  return (
    Math.round((values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)) * 10) /
    10
  );
}
