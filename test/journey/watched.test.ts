/** What an SRE sees of the platform: traces at an OTLP endpoint, metrics for loopback, and what neither may show. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { catalogue } from "../../ops/telemetry/catalogue.ts";
import { type Clone, cloneRepository, eventually, type House, openHouse } from "../kit/house.ts";

type Attribute = {
  readonly key: string;
  readonly value: { stringValue?: string; intValue?: number; doubleValue?: number };
};
type Span = {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
  readonly links?: readonly {
    readonly traceId: string;
    readonly spanId: string;
    readonly attributes: readonly Attribute[];
  }[];
};
type Export = {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[];
  }[];
};

const bodies: string[] = [];
let collector: Server;
let house: House;

beforeAll(async () => {
  collector = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString("utf8")));
    request.on("end", () => {
      if (request.url === "/v1/traces") bodies.push(body);
      response.writeHead(200, { "content-type": "application/json" });
      response.end("{}");
    });
  });
  await new Promise<void>((done) => collector.listen(0, "127.0.0.1", done));
  const { port } = collector.address() as AddressInfo;
  house = await openHouse({
    env: {
      AIRLOCK_HOST: "0.0.0.0",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${String(port)}`,
      OTEL_BSP_SCHEDULE_DELAY: "200",
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer of-the-platform",
      AIRLOCK_CANARY: "1",
      AIRLOCK_METRICS_AIRFLOW_NAMES: "1",
    },
  });
  await house.must("tenants", "create", "acme");
  await house.must("repositories", "create", "acme/pipelines");
  const clone = await cloneRepository(house, "acme", "pipelines");
  mkdirSync(join(clone.folder, "dags"));
  writeFileSync(
    join(clone.folder, "dags", "watched.dag.yaml"),
    "id: watched\ntasks:\n  only:\n    type: node\n    code: return { ...process.env };\n",
  );
  writeFileSync(
    join(clone.folder, "dags", "upper.py"),
    `
import os
from datetime import timedelta
from airflow.sdk import dag, task
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator

@dag(schedule=None)
def upper():
    @task(retries=1, retry_delay=timedelta(0))
    def twice(ti=None):
        if ti.try_number == 1:
            raise ValueError("not-for-traces")
        return dict(os.environ)

    twice() >> TriggerDagRunOperator(task_id="below", trigger_dag_id="watched", trigger_run_id="below")

upper()
`,
  );
  await clone.push("DAGs to be watched");
  await becomesLive(clone, "acme");
  await house.must("trigger", "acme/watched", "--conf", '{"card": "not-for-metrics"}', "--wait");
  await house.must("trigger", "acme/upper", "--run-id", "above", "--wait");
}, 240_000);
const started: ChildProcess[] = [];
const folders: string[] = [];
afterAll(async () => {
  await Promise.all(
    started.map(
      (child) =>
        new Promise((done) => {
          child.once("exit", done);
          if (child.exitCode !== null || !child.kill("SIGKILL")) done(undefined);
        }),
    ),
  );
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  await house.remove();
  collector.closeAllConnections();
  await new Promise((done) => collector.close(done));
});

const attribute = (
  { attributes }: { readonly attributes: readonly Attribute[] },
  key: string,
): string | number | undefined => {
  const value = attributes.find((each) => each.key === key)?.value;
  return value?.stringValue ?? value?.intValue ?? value?.doubleValue;
};
const allSpans = (): readonly Span[] =>
  bodies
    .flatMap((body) => (JSON.parse(body) as Export).resourceSpans)
    .flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans));
const runSpan = (dag: string, runId?: string): Promise<Span> =>
  eventually(async () =>
    allSpans().find(
      (span) =>
        span.name === `RUN ${dag}` &&
        (runId === undefined || attribute(span, "airlock.run.id") === runId),
    ),
  );
const linked = (span: Span, why: string) =>
  (span.links ?? []).find((link) => attribute(link, "airlock.link") === why);

test("a run is one trace: its own span is the root, each attempt a child, a retry points at the try before", async () => {
  const run = await runSpan("upper", "above");
  expect(run.parentSpanId ?? "").toBe("");
  expect(run.kind).toBe(2);
  expect(attribute(run, "cicd.pipeline.result")).toBe("success");
  expect(attribute(run, "airlock.tenant")).toBe("acme");
  const attempts = await eventually(async () => {
    const found = allSpans().filter(
      (span) => span.traceId === run.traceId && span.name.startsWith("task "),
    );
    return found.length === 3 ? found : undefined;
  });
  for (const attempt of attempts) {
    expect(attempt.parentSpanId).toBe(run.spanId);
    expect(Number(attempt.startTimeUnixNano)).toBeGreaterThanOrEqual(
      Number(run.startTimeUnixNano) - 50e6,
    );
  }
  const [first, second] = attempts
    .filter(({ name }) => name === "task twice")
    .toSorted((a, b) => Number(a.startTimeUnixNano) - Number(b.startTimeUnixNano));
  expect([first, second].map((one) => one && attribute(one, "airlock.try_number"))).toEqual([1, 2]);
  expect(first && attribute(first, "cicd.pipeline.task.run.result")).toBe("failure");
  expect(second && linked(second, "retry")?.spanId).toBe(first?.spanId);
});

test("a triggered run is linked to the attempt that triggered it, and every run to the sync that brought it", async () => {
  const above = await runSpan("upper", "above");
  const below = await runSpan("watched", "below");
  const trigger = await eventually(async () =>
    allSpans().find((span) => span.name === "task below" && span.traceId === above.traceId),
  );
  expect(linked(below, "triggered by")).toMatchObject({
    traceId: above.traceId,
    spanId: trigger.spanId,
  });
  const sync = await eventually(async () =>
    allSpans().find(
      (span) =>
        span.name === "sync" &&
        attribute(span, "airlock.tenant") === "acme" &&
        attribute(span, "vcs.ref.head.revision") === attribute(above, "vcs.ref.head.revision"),
    ),
  );
  expect(linked(above, "deployed by")).toMatchObject({
    traceId: sync.traceId,
    spanId: sync.spanId,
  });
  const parts = allSpans().filter((span) => span.parentSpanId === sync.spanId);
  expect(parts.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["checkout", "parse", "store"]),
  );
});

test("a run that is cleared runs again in a trace of its own, which points at the old one", async () => {
  const before = await runSpan("watched", "below");
  await house.must("clear", "acme/watched/below");
  const again = await eventually(async () =>
    allSpans().find(
      (span) =>
        span.name === "RUN watched" &&
        span.traceId !== before.traceId &&
        attribute(span, "airlock.run.id") === "below",
    ),
  );
  expect(linked(again, "cleared")).toMatchObject({
    traceId: before.traceId,
    spanId: before.spanId,
  });
});

test.each([
  ["Node", "watched", "below", "only"],
  ["Python", "upper", "above", "twice"],
])(
  "a task in %s finds its span in its environment, and nothing of the platform's collector",
  async (_, dag, run, task) => {
    const read = JSON.parse(
      await house.must("xcom", "get", `acme/${dag}/${run}/${task}`, "-o", "json"),
    ) as { value: Record<string, string> };
    const { value } = read;
    const [, traceId, spanId] =
      /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/.exec(value["TRACEPARENT"] ?? "") ?? [];
    const span = await eventually(async () => allSpans().find((each) => each.spanId === spanId));
    expect(span.traceId).toBe(traceId);
    expect(span.name).toBe(`task ${task}`);
    expect(value["TRACESTATE"]).toMatch(/^airlock=[0-9a-f-]{36}$/);
    expect(Object.keys(value).filter((name) => name.startsWith("OTEL_"))).toEqual([]);
    expect(JSON.stringify(value)).not.toContain("of-the-platform");
  },
);

test("no word of a tenant's data is in a span", () => {
  expect(bodies.join("")).not.toContain("not-for-");
});

test("metrics count what happened, per tenant, without a word of a tenant's data", async () => {
  const at = new URL(house.url);
  const answer = await fetch(`http://127.0.0.1:${at.port}/metrics`);
  const text = await answer.text();
  expect(answer.headers.get("content-type")).toContain("text/plain; version=0.0.4");
  expect(text).toMatch(/^airlock_task_attempts_total\{tenant="acme",result="failure"\} 1$/m);
  expect(text).toMatch(/^airlock_dag_runs_total\{tenant="acme",dag="upper",result="success"\} 1$/m);
  expect(text).toMatch(/^airlock_task_queue_delay_seconds_count\{tenant="acme"\} [1-9]/m);
  expect(text).toMatch(/^airflow_ti_failures_total\{tenant="acme"\} 1$/m);
  expect(text).not.toContain("not-for-metrics");
});

test("doctor finds the whole platform well, and says what it cannot know elsewhere", async () => {
  type Told = { ok: boolean; checks: { name: string; state: string; found: string }[] };
  const told = JSON.parse(await house.must("doctor", "-o", "json")) as Told;
  expect(told.ok).toBe(true);
  const state = (name: string): string | undefined =>
    told.checks.find((check) => check.name === name)?.state;
  for (const name of [
    "server",
    "postgres",
    "durability",
    "migrations",
    "isolation",
    "scheduler",
    "sync",
    "workers",
    "queue",
    "stale",
    "key",
    "clock",
  ])
    expect([name, state(name)]).toEqual([name, "ok"]);
  chmodSync(join(house.home, "secret.key"), 0o644);
  const worse = await house.airlock("doctor", "-o", "json");
  chmodSync(join(house.home, "secret.key"), 0o600);
  expect(worse.code).toBe(1);
  expect(
    (JSON.parse(worse.stdout) as Told).checks.filter(({ state }) => state === "fail"),
  ).toMatchObject([{ name: "key", hint: expect.stringContaining("chmod 600") as string }]);
});

test("a team's own Prometheus sees its team", async () => {
  const { token } = JSON.parse(
    await house.must("tokens", "create", "team", "--tenant", "acme", "-o", "json"),
  ) as { token: string };
  const ask = (tenant: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${house.url}/t/${tenant}/metrics`, { headers });
  const authorization = `Bearer ${token}`;
  const own = await ask("acme", { authorization });
  expect(own.status).toBe(200);
  const names = (await own.text()).match(/^airlock.*$/gm) ?? [];
  expect(names.length).toBeGreaterThan(10);
  expect(names.filter((line) => !line.includes('tenant="acme"'))).toEqual([]);
  for (const answer of [
    await ask("acme"),
    await ask("airlock-canary", { authorization }),
    await ask("no-such-tenant", { authorization }),
  ])
    expect(answer.status).toBe(404);
});

/** What is there only in foul weather, or while something waits. */
const onlyNowAndThen = [
  "airlock_metrics_dropped_series_total",
  "airlock_repairs_total",
  "airlock_task_lost_total",
  "airlock_dag_deadline_missed_total",
  "airlock_dagrun_schedule_delay_seconds",
  "airlock_tasks",
  "airlock_queue_oldest_ready_age_seconds",
  "airlock_queue_admitted_tasks",
  "airlock_queue_oldest_admitted_age_seconds",
  "airlock_gitsync_last_success_timestamp_seconds",
];

test("everything that the catalogue names is there after a run", async () => {
  await eventually(
    async () =>
      (await house.airlock("dags", "get", "airlock-canary/must_fail")).code === 0
        ? true
        : undefined,
    90_000,
  );
  await house.must("trigger", "airlock-canary/must_succeed", "--wait");
  const unseen = await eventually(async () => {
    const text = await (await fetch(`${house.url}/metrics`)).text();
    const left = Object.values(catalogue)
      .map(({ name }) => name)
      .filter((name) => !onlyNowAndThen.includes(name) && !text.includes(`# TYPE ${name} `));
    if (left.length > 0) throw new Error(left.join(", "));
    return left;
  }, 60_000);
  expect(unseen).toEqual([]);
}, 120_000);

test("the canary that must fail does: every fence holds", async () => {
  const ran = await house.airlock("trigger", "airlock-canary/must_fail", "--wait");
  expect(ran.code).toBe(1);
  expect(await house.must("logs", "airlock-canary/must_fail")).toContain("every fence held");
});

const outside = Object.values(networkInterfaces())
  .flat()
  .find((each) => each !== undefined && !each.internal && each.family === "IPv4")?.address;

test.skipIf(outside === undefined)(
  "from elsewhere metrics need a token of somebody who may read the platform (needs a network interface)",
  async () => {
    const url = `http://${outside ?? ""}:${new URL(house.url).port}/metrics`;
    expect((await fetch(url)).status).toBe(403);
    expect((await fetch(url, { headers: { "x-forwarded-for": "127.0.0.1" } })).status).toBe(403);
    const { token } = JSON.parse(await house.must("tokens", "create", "scraper", "-o", "json")) as {
      token: string;
    };
    const asked = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
    expect(asked.status).toBe(200);
  },
);

const missing = ["prometheus", "prometheus-alertmanager"].filter(
  (program) => spawnSync(program, ["--version"]).status !== 0,
);

test.skipIf(missing.length > 0)(
  "a canary that fails reaches somebody: Prometheus scrapes, our rules fire, Alertmanager calls (needs Debian's prometheus and prometheus-alertmanager)",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "airlock-watch-"));
    folders.push(folder);
    const calls: {
      alerts: { labels: Record<string, string>; annotations: Record<string, string> }[];
    }[] = [];
    const receiver = createServer((request, response) => {
      let body = "";
      request.on("data", (part: Buffer) => (body += part.toString("utf8")));
      request.on("end", () => {
        calls.push(JSON.parse(body) as (typeof calls)[number]);
        response.end();
      });
    });
    await new Promise<void>((done) => receiver.listen(0, "127.0.0.1", done));
    const portOf = (server: Server): number => (server.address() as AddressInfo).port;
    const [manager, prometheus] = [await freePort(), await freePort()];
    cpSync(join(import.meta.dirname, "../../ops/alerts/airlock.yaml"), join(folder, "rules.yaml"));
    writeFileSync(
      join(folder, "alertmanager.yml"),
      JSON.stringify({
        route: { receiver: "us", group_by: ["..."], group_wait: "100ms", group_interval: "1s" },
        receivers: [
          { name: "us", webhook_configs: [{ url: `http://127.0.0.1:${portOf(receiver)}/` }] },
        ],
      }),
    );
    writeFileSync(
      join(folder, "prometheus.yml"),
      JSON.stringify({
        global: { scrape_interval: "500ms", scrape_timeout: "500ms", evaluation_interval: "500ms" },
        rule_files: ["rules.yaml"],
        alerting: {
          alertmanagers: [{ static_configs: [{ targets: [`127.0.0.1:${manager}`] }] }],
        },
        scrape_configs: [
          {
            job_name: "airlock",
            static_configs: [{ targets: [`127.0.0.1:${new URL(house.url).port}`] }],
          },
        ],
      }),
    );
    try {
      run("prometheus-alertmanager", [
        `--config.file=${folder}/alertmanager.yml`,
        `--storage.path=${folder}/alertmanager`,
        `--web.listen-address=127.0.0.1:${manager}`,
        "--cluster.listen-address=",
      ]);
      await eventually(async () =>
        (await fetch(`http://127.0.0.1:${manager}/-/ready`)).ok ? true : undefined,
      );
      run("prometheus", [
        `--config.file=${folder}/prometheus.yml`,
        `--storage.tsdb.path=${folder}/data`,
        `--web.listen-address=127.0.0.1:${prometheus}`,
        "--enable-feature=exemplar-storage",
        // Alerts of before it has found its Alertmanager are lost; by default they come again after a minute.
        "--rules.alert.resend-delay=1s",
      ]);
      const ask = async (path: string): Promise<unknown> => {
        const answer = await fetch(`http://127.0.0.1:${prometheus}/api/v1/${path}`);
        return ((await answer.json()) as { data: unknown }).data;
      };
      await eventually(async () => {
        const { activeTargets } = (await ask("targets")) as {
          activeTargets: { health: string; lastError: string }[];
        };
        return activeTargets[0]?.health === "up" ? true : undefined;
      }, 30_000);

      const clone = await cloneRepository(house, "airlock-canary", "canary");
      folders.push(clone.folder);
      const file = join(clone.folder, "dags", "must_succeed.py");
      writeFileSync(file, clone.read("dags/must_succeed.py").replace("return 42", "return 41"));
      await clone.push("A canary that sings out of tune");
      await becomesLive(clone, "airlock-canary");
      const failed = await house.airlock("trigger", "airlock-canary/must_succeed", "--wait");
      expect(failed.code).toBe(1);

      const page = await eventually(
        async () =>
          calls
            .flatMap(({ alerts }) => alerts)
            .find(({ labels }) => labels["alertname"] === "CanaryFailed"),
        30_000,
      );
      expect(page.labels["severity"]).toBe("page");
      expect(page.annotations["runbook_url"]).toBe("ops/runbooks/CanaryFailed.md");
      const names = (): (string | undefined)[] =>
        calls.flatMap(({ alerts }) => alerts).map(({ labels }) => labels["alertname"]);
      await eventually(async () => (names().includes("Watchdog") ? true : undefined));
      expect(new Set(names())).toEqual(new Set(["CanaryFailed", "Watchdog"]));

      const [exemplars] = (await ask(
        `query_exemplars?query=airlock_task_queue_delay_seconds_bucket&start=0&end=${Math.ceil(Date.now() / 1000) + 60}`,
      )) as { exemplars: { labels: { trace_id: string } }[] }[];
      expect(allSpans().map(({ traceId }) => traceId)).toContain(
        exemplars?.exemplars[0]?.labels.trace_id,
      );
    } finally {
      receiver.closeAllConnections();
      receiver.close();
    }
  },
  120_000,
);

/** A push waits for 30 s only; on a busy machine the sync may take longer. */
async function becomesLive(clone: Clone, tenant: string): Promise<void> {
  const commit = (await clone.git("rev-parse", "HEAD")).stdout.trim();
  await eventually(async () => {
    const deploys = JSON.parse(await house.must("deploys", "list", tenant, "-o", "json")) as {
      commit: string;
      state: string;
    }[];
    return deploys.some((one) => one.commit === commit && one.state === "live") ? true : undefined;
  }, 120_000);
}

function run(program: string, args: readonly string[]): void {
  started.push(spawn(program, args, { stdio: "ignore" }));
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}
