/**
 * `npm run screenshots`: every page in both themes at three widths, of a platform with the sample tenants and one with
 * much in it, to be looked at. `--only WORD` takes those whose name holds it; `--out DIR` (default ops/screenshots/out).
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { closeBrowser, noChromium, openVisitor } from "../../test/kit/browser.ts";
import { cloneRepository, eventually, type House, openHouse } from "../../test/kit/house.ts";

const sizes = [
  ["1280", 1280, 800],
  ["1920", 1920, 1080],
  ["phone", 390, 844],
] as const;

/** Name and address; a function where the address is only known when the platform runs. */
type Shot = readonly [name: string, path: string, act?: (page: Page) => Promise<void>];
type Page = Awaited<ReturnType<typeof openVisitor>>["page"];

const shotsOf = ({ failed, good, wide }: Known): readonly Shot[] => [
  ["now-all", "/"],
  ["now", "/t/acme"],
  ["now-failing", "/t/mixed"],
  ["now-empty", "/t/empty"],
  ["now-big", "/t/big"],
  ["dags", "/t/acme/dags"],
  ["dags-empty", "/t/empty/dags"],
  ["dags-big", "/t/big/dags"],
  ["dags-filtered", "/t/big/dags?q=state:failed%20ads"],
  ["dag-grid", "/t/acme/dags/orders_etl"],
  ["dag-grid-wide", `/t/big/dags/${wide}`],
  ["dag-graph", "/t/acme/dags/orders_etl?tab=graph"],
  ["dag-graph-wide", `/t/big/dags/${wide}?tab=graph`],
  ["dag-trends", `/t/big/dags/${wide}?tab=trends`],
  ["dag-code", "/t/acme/dags/orders_etl?tab=code"],
  ["dag-details", "/t/acme/dags/orders_etl?tab=details"],
  ["dag-deploys", "/t/acme/dags/orders_etl?tab=deploys"],
  ["dag-gone", "/t/acme/dags/no_such_dag"],
  ["run", good.run],
  ["run-log", good.runWithTask],
  ["run-failed", failed.run],
  ["task", good.task],
  ["task-failed", failed.task],
  ["runs", "/t/acme/runs"],
  ["runs-big", "/t/big/runs"],
  ["deploys", "/t/acme/deploys"],
  ["deploys-errors", "/t/mixed/deploys", (page) => page.keyboard.press("j")],
  ["capacity", "/t/acme/capacity"],
  ["capacity-big", "/t/big/capacity"],
  ["things", "/t/acme/things"],
  ["rights", "/t/acme/rights"],
  ["platform", "/platform"],
  ["palette", "/t/acme/dags", (page) => page.keyboard.press("Control+k")],
  ["keys", "/t/acme/dags", (page) => page.keyboard.press("?")],
  [
    "trigger",
    "/t/acme/dags/orders_etl",
    (page) =>
      page
        .getByRole("button", { name: /^Trigger/ })
        .first()
        .click(),
  ],
];

type Known = {
  readonly good: { readonly run: string; readonly runWithTask: string; readonly task: string };
  readonly failed: { readonly run: string; readonly task: string };
  readonly wide: string;
};

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      out: { type: "string", default: join(import.meta.dirname, "out") },
      size: { type: "string" },
      theme: { type: "string" },
    },
  });
  if (noChromium) process.exit(2);
  mkdirSync(values.out, { recursive: true });
  const house = await openHouse({ examples: true });
  try {
    const shots = shotsOf(await prepare(house)).filter(([name]) =>
      name.includes(values.only ?? ""),
    );
    for (const theme of ["light", "dark"] as const)
      for (const [size, width, height] of sizes) {
        if ((values.size ?? size) !== size || (values.theme ?? theme) !== theme) continue;
        await take(house, shots, { theme, size, width, height, out: values.out });
      }
  } finally {
    await closeBrowser();
    await house.remove();
  }
}

async function take(
  house: House,
  shots: readonly Shot[],
  look: {
    readonly theme: "light" | "dark";
    readonly size: string;
    readonly width: number;
    readonly height: number;
    readonly out: string;
  },
): Promise<void> {
  const visitor = await openVisitor({
    url: house.url,
    as: { name: "admin", password: house.password },
    ...look,
    touch: look.size === "phone",
  });
  const { page } = visitor;
  for (const [name, path, act] of shots) {
    await page.goto(path);
    await page.waitForLoadState("networkidle").catch(() => undefined);
    await act?.(page).catch((error: unknown) => console.error(`${name}: ${String(error)}`));
    // Charts and graphs are drawn a moment after their data is there; a picture has no fact to wait for.
    await page.waitForTimeout(600);
    await page.screenshot({ path: join(look.out, `${name}.${look.size}.${look.theme}.png`) });
    for (const complaint of visitor.complaints.splice(0)) console.error(`${name}: ${complaint}`);
  }
  console.error(`${shots.length} pages, ${look.size}, ${look.theme}`);
  await visitor.close();
}

/** Runs of the samples to their end, one that fails, an empty tenant, and one with much in it. */
async function prepare(house: House): Promise<Known> {
  const { seedTenant } = await import("../bench/seed-big.ts");
  await seedTenant({
    home: house.home,
    tenant: "big",
    dags: 400,
    instances: 120_000,
    wide: "2000x30",
  });
  await house.must("tenants", "create", "empty");
  await house.must("repositories", "create", "empty/pipelines");
  await eventually(async () => {
    const dags = JSON.parse(await house.must("dags", "list", "acme", "-o", "json")) as unknown[];
    return dags.length >= 3 ? true : undefined;
  }, 120_000);
  await house.must("trigger", "acme/orders_etl", "--run-id", "good", "--wait");
  await house.must("tenants", "create", "mixed");
  await house.must("repositories", "create", "mixed/pipelines");
  const clone = await cloneRepository(house, "mixed", "pipelines");
  mkdirSync(join(clone.folder, "dags"));
  writeFileSync(join(clone.folder, "dags", "prices.py"), failingDag);
  writeFileSync(join(clone.folder, "dags", "broken.py"), "from airflow.sdk import dag\n\n@dag(\n");
  await clone.push("prices");
  await house.airlock("trigger", "mixed/prices", "--run-id", "bad", "--wait");
  const run = "/t/acme/dags/orders_etl/runs";
  return {
    good: {
      run: `${run}/good`,
      runWithTask: `${run}/good?task=extract`,
      task: `${run}/good/tasks/report`,
    },
    failed: {
      run: "/t/mixed/dags/prices/runs/bad?task=check",
      task: "/t/mixed/dags/prices/runs/bad/tasks/check",
    },
    wide: "warehouse_refresh",
  };
}

const failingDag = `
from airflow.sdk import dag, task

@dag(schedule=None, default_args={"retries": 1, "retry_delay": 1}, tags=["shop"])
def prices():
    @task
    def load():
        print("4711 rows")
        return {"rows": 4711}

    @task
    def check(found):
        print("::group::rows")
        for row in range(40):
            print(f"row {row} of {found['rows']}")
        print("::endgroup::")
        print("\\033[33mrow 4711 has no price\\033[0m")
        raise KeyError("price in row 4711")

    @task
    def publish():
        print("published")

    check(load()) >> publish()

prices()
`;

// Last: what stands above must be there.
await main();
