// Orders of the day: fetched, cleaned one by one, added up; a report when there is something to report.
import { bash, cron, dag, skip } from "airlock";
import { cents, type Order } from "./lib/orders.ts";

export default dag({
  id: "orders_etl",
  description: "Orders of the day, cleaned and added up.",
  schedule: cron("0 6 * * *", { tz: "Europe/Zurich" }),
  params: {
    region: { type: "string", enum: ["eu", "us"], default: "eu", description: "Whose orders" },
    limit: { type: "integer", default: 100 },
  },
  tags: ["sample"],
  defaults: { retries: 2, retryDelay: "30s", backoff: "exponential" },
  build({ task, map, group, branch, sensor, op }) {
    const ready = sensor("source_ready", {
      every: "30s",
      timeout: "1h",
      poke: async ({ variable }) => (await variable("orders_open")) === "yes",
    });

    const extract = task("extract", {
      run: ({ params, log }): { rows: Order[]; etag: string } => {
        log.info("fetching", { region: params.region });
        return {
          rows: [
            { id: 1, price: "1.20" },
            { id: 2, price: "3.40" },
          ],
          etag: "v1",
        };
      },
    }).after(ready);

    const clean = map("clean", extract.get("rows"), {
      concurrency: 8,
      run: (order) => {
        if (order.price === "") throw skip("no price");
        return { id: order.id, cents: cents(order) };
      },
    });

    const load = group("load", (inside) => ({
      total: inside.task("total", {
        in: { rows: clean, etag: extract.get("etag") },
        run: ({ rows, etag }) => ({
          sum: rows.reduce((sum, row) => sum + row.cents, 0),
          count: rows.length,
          etag,
        }),
      }),
    }));

    const how = branch("how", {
      to: ["report", "nothing"],
      in: load.out.total.get("count"),
      run: (count) => (count > 0 ? "report" : "nothing"),
    });

    const report = op(bash, "report", {
      command: 'echo "$SUM cents" | tee "$AIRLOCK_ARTIFACTS/report.txt"',
      env: { SUM: load.out.total.get("sum") },
    });
    const nothing = task("nothing", { run: ({ log }) => log.info("a quiet day") });

    task("notify", {
      in: report,
      triggerRule: "none_failed_min_one_success",
      run: (line, { log, logicalDate }) => {
        log.info(`${logicalDate.toISOString().slice(0, 10)}: ${line}`);
      },
    }).after(report, nothing);
    how.before(report, nothing);
  },
});
