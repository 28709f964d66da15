// Bikes per station and day: counted, held against the weather, loaded, drawn.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bash, cron, dag, sql } from "airlock";
import { counts, stations, weather } from "./lib/bikes.ts";
import { columnPage } from "./lib/chart.ts";

type DayRow = { station: string; day: string; bikes: number; peak_hour: number };

export default dag({
  id: "bikes_daily",
  description: "Bikes per station and day, held against the weather.",
  schedule: cron("30 4 * * *", { tz: "Europe/Zurich" }),
  tags: ["bikes", "daily"],
  owner: "globex",
  maxActiveRuns: 1,
  params: {
    wet_from_mm: {
      type: "number",
      minimum: 0,
      default: 2,
      description: "Rain from which a day is wet",
    },
    report: {
      type: "string",
      enum: ["always", "never"],
      default: "always",
      description: "Draw the chart?",
    },
  },
  defaults: { retries: 2, retryDelay: "2s", backoff: "exponential" },
  build({ task, map, group, branch, op }) {
    const checked = op(bash, "check_files", {
      command: 'wc -l < "$AIRLOCK_BUNDLE/data/bike_counts.csv"',
    });

    const list = task("list_stations", {
      run: ({ log }) => {
        const found = stations();
        log.info("stations", { count: found.length });
        return found;
      },
    }).after(checked);

    const perStation = map("add_up", list, {
      concurrency: 4,
      run: async ({ station }, { signal }) => {
        const days = new Map<string, { bikes: number; peak_hour: number; peak: number }>();
        for await (const count of counts()) {
          signal.throwIfAborted();
          if (count.station !== station) continue;
          const day = days.get(count.day) ?? { bikes: 0, peak_hour: 0, peak: -1 };
          days.set(count.day, {
            bikes: day.bikes + count.bikes,
            ...(count.bikes > day.peak
              ? { peak_hour: count.hour, peak: count.bikes }
              : { peak_hour: day.peak_hour, peak: day.peak }),
          });
        }
        return [...days].map(
          ([day, { bikes, peak_hour }]): DayRow => ({ station, day, bikes, peak_hour }),
        );
      },
    });

    const city = task("city_days", {
      in: { rows: perStation },
      run: ({ rows }, { params }) => {
        const totals = Map.groupBy(rows.flat(), ({ day }) => day);
        return weather().map(({ day, rain_mm }) => ({
          day,
          wet: rain_mm >= params.wet_from_mm,
          bikes: (totals.get(day) ?? []).reduce((sum, { bikes }) => sum + bikes, 0),
        }));
      },
    });

    const load = group("load", (inside) => {
      const prepare = inside.op(sql, "prepare", {
        conn: "warehouse",
        query: `create table if not exists bikes_per_day (
                  station text, day date, bikes integer not null, peak_hour smallint not null,
                  primary key (station, day))`,
      });
      const rows = inside.task("rows", {
        in: perStation,
        run: (stationDays) => stationDays.flat(),
      });
      // Replaced in one transaction: a second run leaves the same table.
      const write = inside
        .op(sql, "write", { conn: "warehouse", into: "bikes_per_day", rows, mode: "replace" })
        .after(prepare);
      const best = inside
        .op(sql, "best_station", {
          conn: "warehouse",
          query: `select station, sum(bikes)::int as bikes from bikes_per_day
                   where day >= :since group by station order by 2 desc limit 1`,
          with: { since: "2026-09-01" },
        })
        .after(write);
      return { best };
    });

    const how = branch("how", {
      to: ["report", "no_report"],
      run: ({ params }) => (params.report === "always" ? "report" : "no_report"),
    }).after(load);

    const report = task("report", {
      in: { days: city, best: load.out.best, names: list },
      run: async ({ days, best, names }, { artifacts, log }) => {
        const station = names.find((one) => one.station === best[0]?.["station"]);
        const wetDays = days.filter(({ wet }) => wet).length;
        const note = `${station?.name ?? "?"} counted most. Blue: ${wetDays} wet days.`;
        const points = days.map(({ day, bikes, wet }) => ({ label: day, value: bikes, wet }));
        await writeFile(join(artifacts, "bikes.html"), columnPage("Bikes per day", points, note));
        log.info(note);
        return note;
      },
    });
    const none = task("no_report", { run: ({ log }) => log.info("no chart wanted") });
    how.before(report, none);

    task("done", {
      triggerRule: "none_failed_min_one_success",
      run: ({ log, logicalDate }) => log.info(`done for ${logicalDate.toISOString()}`),
    }).after(report, none);
  },
});
