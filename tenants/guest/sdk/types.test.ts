/** What must compile and what must not. `tsc` is the test: an expected error that is none fails it. */
import { describe, expect, expectTypeOf, test } from "vitest";
import * as z from "zod";
import { asset, bash, cron, dag, done, every, type Ref, skip, useContext } from "./airlock.ts";

const orders = asset("s3://lake/orders");

describe("the types of a DAG file", () => {
  test("outputs arrive as inputs, from author to XCom", () => {
    const built = dag({
      id: "orders_etl",
      schedule: cron("0 6 * * *", { tz: "Europe/Zurich", catchup: false }),
      params: z.object({
        region: z.enum(["eu", "us"]).default("eu"),
        limit: z.number().int().default(100),
      }),
      defaults: { retries: 3, retryDelay: "30s", backoff: "exponential" },
      build({ task, map, sensor, group, branch, op, shortCircuit }) {
        const ready = sensor("source_ready", {
          every: "30s",
          timeout: "1h",
          poke: async ({ conn }) =>
            (await conn("orders_api")).host === undefined ? false : done({ size: 3 }),
        });
        expectTypeOf(ready).toExtend<Ref<{ size: number }>>();
        const extract = task("extract", {
          run: ({ params, log }) => {
            expectTypeOf(params.region).toEqualTypeOf<"eu" | "us">();
            expectTypeOf(params.limit).toEqualTypeOf<number>();
            log.info("pull", { region: params.region });
            if (params.limit === 0) throw skip("nothing asked for");
            return { rows: [{ id: 1, cents: 120 }], etag: useContext().run.id };
          },
        }).after(ready);
        const parts = task("split", {
          in: extract,
          run: ({ rows }) => rows.map((row) => [row.id, row.cents] as [number, number]),
        });
        const cleaned = map("clean", parts, {
          concurrency: 8,
          run: ([id, cents]) => ({ id, eur: cents / 100 }),
        });
        map("direct", extract.get("rows"), {
          in: { tag: extract.get("etag") },
          run: (row, { tag }) => row.cents.toFixed(2) + tag.toUpperCase(),
        });
        const load = group("load", (inside) => ({
          write: inside.task("write", {
            in: { rows: cleaned, tag: extract.get("etag") },
            outlets: [orders],
            run: ({ rows, tag }) => ({ n: rows.length, sum: rows[0]?.eur ?? 0, tag }),
          }),
        }));
        const enough = shortCircuit("enough", {
          in: load.out.write,
          run: ({ n }) => n > 0,
        });
        const how = branch("how", {
          to: ["report", "notify"],
          run: ({ params }) => (params.limit > 10 ? "report" : ["notify"]),
        }).after(enough);
        op(bash, "report", { command: "echo done", env: { TAG: extract.get("etag") } }).after(how);
        task("notify", {
          in: [load.out.write, extract.get("etag")],
          triggerRule: "all_done",
          run: ([written, etag]) => written.sum.toFixed(2) + etag.toUpperCase(),
        });
      },
    });
    expect(built.spec.tasks.map((task) => task.task_id)).toContain("load.write");
  });

  test("params may be plain JSON Schema", () => {
    const plain = dag({
      id: "plain",
      schedule: every("5m"),
      params: {
        region: { type: "string", enum: ["eu", "us"], default: "eu" },
        limit: { type: "integer", default: 3 },
        deep: { type: "object", properties: { on: { type: "boolean" } } },
      },
      build({ task }) {
        task("a", {
          run: ({ params }) => {
            expectTypeOf(params.region).toEqualTypeOf<"eu" | "us">();
            expectTypeOf(params.limit).toEqualTypeOf<number>();
            expectTypeOf(params.deep.on).toEqualTypeOf<boolean>();
          },
        });
      },
    });
    expect(Object.keys(plain.spec.params)).toEqual(["region", "limit", "deep"]);
  });

  // Never called: some of these lines are wrong at run time as well.
  const mistakes = (): void => {
    dag({
      id: "x",
      build({ task, map, branch, op }) {
        const a = task("a", { run: () => ({ n: 1, s: "x" }) });
        // @ts-expect-error wrong field
        task("b", { in: a, run: (v) => String(v.missing) });
        // @ts-expect-error string is not number
        task("c", { in: a.get("s"), run: (v) => String(v.toFixed(2)) });
        // @ts-expect-error mapping over a non-array
        map("d", a, { run: (x) => x });
        // @ts-expect-error branch target not in the list
        branch("e", { to: ["p", "q"], run: () => "zzz" });
        // @ts-expect-error bad duration
        task("f", { retryDelay: "30 minutes", run: () => 1 });
        // @ts-expect-error operator argument of the wrong type
        op(bash, "g", { command: 3 });
        // @ts-expect-error no such field of the output
        a.get("missing");
      },
    });
  };
  test("seven mistakes do not compile", () => expectTypeOf(mistakes).toBeFunction());
});
