/** Bike counters of the city: hourly counts, the stations, the weather. */
import { createReadStream, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

const data = join(import.meta.dirname, "../../data");

export type Station = { readonly station: string; readonly name: string; readonly lanes: number };
export type Weather = { readonly day: string; readonly mean_c: number; readonly rain_mm: number };
export type Count = {
  readonly station: string;
  readonly day: string;
  readonly hour: number;
  readonly bikes: number;
};

export const stations = (): Station[] =>
  table("stations.csv").map(({ station = "", name = "", lanes = "" }) => ({
    station,
    name,
    lanes: Number(lanes),
  }));

export const weather = (): Weather[] =>
  table("weather.csv").map(({ day = "", mean_c = "", rain_mm = "" }) => ({
    day,
    mean_c: Number(mean_c),
    rain_mm: Number(rain_mm),
  }));

/** What a counter without power wrote (nothing, or −1) is left out. */
export async function* counts(): AsyncGenerator<Count> {
  let first = true;
  for await (const line of createInterface({
    input: createReadStream(join(data, "bike_counts.csv")),
  })) {
    const [station = "", day = "", hour = "", bikes = ""] = line.split(",");
    if (!first && bikes !== "" && Number(bikes) >= 0)
      yield { station, day, hour: Number(hour), bikes: Number(bikes) };
    first = false;
  }
}

function table(name: string): Partial<Record<string, string>>[] {
  const [header = "", ...rows] = readFileSync(join(data, name), "utf8").trim().split("\n");
  const columns = header.split(",");
  return rows.map((row) => {
    const cells = row.split(",");
    return Object.fromEntries(columns.map((column, at) => [column, cells[at] ?? ""]));
  });
}
