/**
 * Makes the data files of the sample tenants: open data of Limmern, a city that does not exist. The seed is
 * fixed, so a second run writes the same bytes: `node tenants/examples/make-data.ts`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** acme: orders of bike passes in the city's shop, as people type them in, and the names of the districts. */
function makeOrders(): void {
  const random = dice(11);
  const products = [
    ["day", 450],
    ["month", 3900],
    ["year", 29000],
    ["cargo", 1800],
  ] as const;
  const rows = Array.from({ length: 3200 }, (_, index) => {
    const [product, cents] = products[Math.floor(random() ** 1.6 * products.length)] ?? products[0];
    const district = districts[Math.floor(random() ** 1.3 * districts.length)] ?? districts[0];
    const at = firstDay + Math.floor(random() * days * 24 * 60) * 60_000;
    const price = (cents / 100).toFixed(2);
    const row = [
      String(100_001 + index),
      new Date(at).toISOString().slice(0, 16),
      district.code,
      product,
      price,
    ];
    // What the shop's old cash desks do: blanks, decimal commas, small letters, missing prices, refunds.
    const mishap = random();
    if (mishap < 0.03) row[4] = ` ${price.replace(".", ",")}`;
    else if (mishap < 0.05) row[2] = row[2]?.toLowerCase() ?? "";
    else if (mishap < 0.065) row[4] = "";
    else if (mishap < 0.075) row[4] = `-${price}`;
    else if (mishap < 0.08) row[2] = "??";
    return row;
  });
  // Some arrive twice.
  const doubled = rows.filter(() => random() < 0.012);
  const all = [...rows, ...doubled].toSorted((a, b) => ((a[1] ?? "") < (b[1] ?? "") ? -1 : 1));
  write(
    "acme/data/orders.csv",
    ["order_id", "ordered_at", "district", "product", "price_eur"],
    all,
  );
  write(
    "acme/data/districts.csv",
    ["code", "name", "inhabitants"],
    districts.map(({ code, name, inhabitants }) => [code, name, inhabitants]),
  );
}

/** globex: bikes counted per station and hour, and the weather of each day. */
function makeBikes(): void {
  const random = dice(23);
  const weather = Array.from({ length: days }, (_, day) => ({
    day: isoDay(day),
    mean_c: Math.round((9 + 5 * Math.sin(day / 3) + 3 * random()) * 10) / 10,
    rain_mm: random() < 0.35 ? Math.round(random() * 140) / 10 : 0,
  }));
  const counts = weather.flatMap(({ day, mean_c, rain_mm }, index) =>
    bikeStations.flatMap(({ station, busy }) =>
      Array.from({ length: 24 }, (_, hour) => {
        const weekend = new Date(firstDay + index * dayMs).getUTCDay() % 6 === 0;
        const rush = weekend
          ? bump(hour, 14, 4)
          : bump(hour, 8, 1.5) + bump(hour, 17, 2) + 0.3 * bump(hour, 13, 3);
        const mood = (0.6 + mean_c / 25) * (rain_mm > 5 ? 0.45 : rain_mm > 0 ? 0.75 : 1);
        const bikes = Math.round(busy * rush * mood * (0.85 + 0.3 * random()));
        // A counter that lost its power says nothing, or minus one.
        const broken = random();
        return [station, day, hour, broken < 0.008 ? "" : broken < 0.014 ? -1 : bikes];
      }),
    ),
  );
  write("globex/data/bike_counts.csv", ["station", "day", "hour", "bikes"], counts);
  write(
    "globex/data/stations.csv",
    ["station", "name", "lanes"],
    bikeStations.map(({ station, name, lanes }) => [station, name, lanes]),
  );
  write(
    "globex/data/weather.csv",
    ["day", "mean_c", "rain_mm"],
    weather.map(({ day, mean_c, rain_mm }) => [day, mean_c, rain_mm]),
  );
}

/** initech: air quality per station and hour, in the long form that measuring networks publish. */
function makeAir(): void {
  const random = dice(37);
  const rows = airStations.flatMap(({ station, traffic }) =>
    Array.from({ length: days * 24 }, (_, step) => {
      const hour = step % 24;
      const rush = bump(hour, 8, 2) + bump(hour, 18, 2.5);
      const calm = 1 + 0.5 * Math.sin(step / 40);
      const no2 = (8 + 40 * traffic * rush) * calm * (0.85 + 0.3 * random());
      const pm10 = (9 + 14 * traffic * rush + 6 * calm) * (0.8 + 0.4 * random());
      const at = `${isoDay(Math.floor(step / 24))}T${String(hour).padStart(2, "0")}:00`;
      const gap = random() < 0.01;
      return [station, at, gap ? "" : no2.toFixed(1), random() < 0.006 ? "n/a" : pm10.toFixed(1)];
    }),
  );
  write("initech/data/air.csv", ["station", "measured_at", "no2_ugm3", "pm10_ugm3"], rows);
  write(
    "initech/data/stations.csv",
    ["station", "name", "kind"],
    airStations.map(({ station, name, traffic }) => [
      station,
      name,
      traffic > 0.6 ? "traffic" : "background",
    ]),
  );
}

const dayMs = 24 * 60 * 60 * 1000;
const firstDay = Date.UTC(2026, 8, 1);
const days = 14;
const isoDay = (day: number): string => new Date(firstDay + day * dayMs).toISOString().slice(0, 10);
const bump = (hour: number, at: number, width: number): number =>
  Math.exp(-(((hour - at) / width) ** 2)) + 0.02;

const districts = [
  { code: "D01", name: "Altstadt", inhabitants: 5810 },
  { code: "D02", name: "Werd", inhabitants: 12_340 },
  { code: "D03", name: "Seefeld", inhabitants: 17_020 },
  { code: "D04", name: "Gaswerk", inhabitants: 21_450 },
  { code: "D05", name: "Hardau", inhabitants: 26_730 },
  { code: "D06", name: "Rosenberg", inhabitants: 9_260 },
  { code: "D07", name: "Ufer Nord", inhabitants: 30_110 },
  { code: "D08", name: "Oerlen", inhabitants: 38_900 },
] as const;
const bikeStations = [
  { station: "B01", name: "Station bridge", lanes: 2, busy: 420 },
  { station: "B02", name: "University slope", lanes: 1, busy: 260 },
  { station: "B03", name: "Lake path", lanes: 2, busy: 510 },
  { station: "B04", name: "Market square", lanes: 2, busy: 330 },
  { station: "B05", name: "Gasworks", lanes: 1, busy: 140 },
  { station: "B06", name: "Stadium", lanes: 2, busy: 190 },
] as const;
const airStations = [
  { station: "A01", name: "Rose alley", traffic: 1 },
  { station: "A02", name: "Station street", traffic: 0.9 },
  { station: "A03", name: "Town hall", traffic: 0.5 },
  { station: "A04", name: "Lake park", traffic: 0.2 },
  { station: "A05", name: "Gasworks", traffic: 0.7 },
  { station: "A06", name: "Motorway bridge", traffic: 1.3 },
] as const;

/** Numbers from 0 to 1, the same for the same seed on every machine (mulberry32). */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function write(
  path: string,
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): void {
  const file = join(import.meta.dirname, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${[header, ...rows].map((row) => row.join(",")).join("\n")}\n`);
}

makeOrders();
makeBikes();
makeAir();
