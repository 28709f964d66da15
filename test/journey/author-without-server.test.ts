/** An author's day without a server: from the checkout, and from the packed package in a repository of their own. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { airlock, checkout, type Said, startAirlock } from "../kit/airlock-command.ts";

let folder: string;
let env: NodeJS.ProcessEnv;

beforeAll(() => {
  // Not below /tmp: the sandbox has a /tmp of its own.
  folder = mkdtempSync("/var/tmp/airlock-author-");
  chmodSync(folder, 0o755);
  env = { AIRLOCK_HOME: join(folder, "home") };
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const write = (root: string, files: { readonly [path: string]: string }): string => {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
};
const json = (said: Said): Record<string, unknown> => {
  try {
    return JSON.parse(said.stdout) as Record<string, unknown>;
  } catch (error) {
    throw new Error(`not one JSON document:\n${said.stdout}\n${said.stderr}`, { cause: error });
  }
};

describe.each(["python", "ts", "yaml"])("a new repository in %s", (kind) => {
  test("validates and runs as it was made", async () => {
    const root = join(folder, `new-${kind}`);
    expect(await airlock(["init", `--${kind}`, root], { env })).toMatchObject({ code: 0 });
    const validated = await airlock(["validate", "--format", "json"], { cwd: root, env });
    expect(json(validated)).toMatchObject({
      ok: true,
      files: [{ ok: true, errors: [], dags: [{ dag_id: "hello", schedule: "0 6 * * *" }] }],
    });
    expect(validated.code).toBe(0);
    const ran = await airlock(["run", "."], { cwd: root, env });
    expect(ran.stdout).toContain("Hello, Ada!");
    expect(ran.stdout).toContain("8 letters");
    expect(ran.stdout).toMatch(/^success hello in .*: 4 success$/m);
    expect(ran.code).toBe(0);
    expect(existsSync(join(root, ".airlock"))).toBe(false);
  }, 120_000);
});

describe("validate", () => {
  const files = {
    "airlock.yaml": "limits: { parse_seconds: 3 }\n",
    ".airflowignore": "",
    "dags/.airflowignore": "ignored.py\n",
    "dags/ignored.py": "from airflow import DAG\nraise SystemExit\n",
    "dags/syntax.py": "from airflow import DAG\n\nwith DAG('x' as dag:\n    pass\n",
    "dags/twice_a.py": "from airflow import DAG\ndag = DAG('twice')\n",
    "dags/twice_b.py": "from airflow import DAG\ndag = DAG('twice')\n",
    "dags/loop.py": "import airflow\n# dag\nwhile True: pass\n",
    "dags/typo.dag.yaml": "id: typo\ntasks:\n  a:\n    type: bash\n    comand: echo\n",
    "dags/missing.dag.ts":
      'import { dag } from "airlock";\nimport { x } from "./nope.ts";\nexport default dag({ id: "m", build: () => x });\n',
    "dags/good.dag.yaml":
      'id: good\ntasks:\n  a: { type: bash, command: "echo %::error::no" }\n  b: { type: empty, needs: a }\n',
  };
  let root: string;
  beforeAll(() => {
    root = write(join(folder, "broken"), files);
  });

  test("says file, line and the way out for each kind of problem, once, and what is good stays good", async () => {
    const said = await airlock(["validate", "-o", "json"], { cwd: join(root, "dags"), env });
    expect(said.code).toBe(1);
    const { files: found, ok } = json(said) as {
      ok: boolean;
      files: {
        path: string;
        ok: boolean;
        dags: unknown[];
        errors: { line: number | null; message: string; hint: string | null }[];
      }[];
    };
    expect(ok).toBe(false);
    const by = Object.fromEntries(found.map((file) => [file.path, file]));
    expect(Object.keys(by)).toEqual(
      [
        "good.dag.yaml",
        "loop.py",
        "missing.dag.ts",
        "syntax.py",
        "twice_a.py",
        "twice_b.py",
        "typo.dag.yaml",
      ].map((name) => `dags/${name}`),
    );
    expect(by["dags/good.dag.yaml"]).toMatchObject({
      ok: true,
      dags: [
        {
          dag_id: "good",
          schedule: null,
          tasks: [
            { task_id: "a", downstream_task_ids: ["b"] },
            { task_id: "b", downstream_task_ids: [] },
          ],
        },
      ],
    });
    expect(by["dags/syntax.py"]?.errors[0]).toMatchObject({ line: 3 });
    expect(by["dags/typo.dag.yaml"]?.errors[0]).toMatchObject({
      line: 5,
      hint: expect.stringContaining("command") as string,
    });
    expect(by["dags/missing.dag.ts"]?.errors[0]).toMatchObject({ line: 2 });
    expect(by["dags/loop.py"]?.errors[0]?.message).toMatch(/3 s|parse/i);
    expect(by["dags/twice_a.py"]?.ok).toBe(true);
    expect(by["dags/twice_b.py"]?.errors[0]?.message).toContain("dags/twice_a.py");
  }, 60_000);

  test("draws a code frame for people, and annotations for GitHub and GitLab", async () => {
    const file = join(root, "dags", "typo.dag.yaml");
    const pretty = await airlock(["validate", file], { env });
    expect(pretty).toMatchObject({ code: 1 });
    expect(pretty.stdout).toContain("dags/typo.dag.yaml:5:5: ");
    expect(pretty.stdout).toContain("> 5 │     comand: echo\n      │     ^");
    const github = await airlock(["validate", "--format", "github", file], { env });
    expect(github.stdout).toMatch(
      /^::error file=dags\/typo\.dag\.yaml,line=5,col=5,title=airlock::.*%0A/,
    );
    const gitlab = await airlock(["validate", "--format", "gitlab", file], { env });
    expect(JSON.parse(gitlab.stdout)).toMatchObject([
      { severity: "major", location: { path: "dags/typo.dag.yaml", lines: { begin: 5 } } },
    ]);
  }, 60_000);

  test("a path that is nothing is wrong use; a file that is no DAG file is a finding", async () => {
    expect((await airlock(["validate", join(root, "nothing")], { env })).code).toBe(2);
    const said = await airlock(["validate", "-o", "json", join(root, "airlock.yaml")], { env });
    expect(said.code).toBe(1);
    expect(json(said)).toMatchObject({ files: [{ path: "airlock.yaml", ok: false }] });
  });
});

describe("run", () => {
  const flaky = `
import os
from datetime import timedelta
from airflow import DAG
from airflow.decorators import task
from airflow.hooks.base import BaseHook
from airflow.models import Variable
from airflow.operators.empty import EmptyOperator

def told(context):
    print("the callback ran")

with DAG("flaky", schedule=None, default_args={"retries": 1, "retry_delay": timedelta(minutes=5)}):
    @task
    def numbers():
        c = BaseHook.get_connection("db")
        print("to", c.host, "as", c.login, "with", c.password, "for", Variable.get("who"))
        with open(os.environ["AIRLOCK_ARTIFACTS"] + "/report.txt", "w") as out:
            out.write("three numbers")
        return [1, 2, 3]

    @task
    def double(n, ti=None):
        if ti.try_number == 1 and n == 2:
            raise ValueError("not yet")
        return n * 2

    @task(retries=0, on_failure_callback=told)
    def total(all, params=None, **context):
        print("total", sum(all))
        if not context["dag_run"].conf.get("good"):
            raise ValueError("this run is not good")

    total(double.expand(n=numbers())) >> EmptyOperator(task_id="end")
`;
  let root: string;
  const things = ["--connections", "connections.yaml", "--variables", "variables.json"];
  beforeAll(() => {
    root = write(join(folder, "runs"), {
      "dags/flaky.py": flaky,
      "dags/nap.py":
        "import time\nfrom airflow.decorators import dag, task\n@dag(schedule=None)\ndef nap():\n    @task\n    def sleep():\n        print('asleep', flush=True)\n        time.sleep(600)\n    sleep()\nnap()\n",
      "connections.yaml": "db: postgres://etl:s3cr3t-word@db.example.org:5432/x\n",
      "variables.json": '{"who": "Ada"}',
    });
  });

  test("retries at once, masks secrets, keeps artifacts, runs callbacks, and fails with exit 1", async () => {
    const said = await airlock(["run", "dags/flaky.py", ...things], { cwd: root, env });
    expect(said.stdout).toContain("to db.example.org as etl with *** for Ada");
    expect(said.stdout + said.stderr).not.toContain("s3cr3t-word");
    expect(said.stderr).toContain("the server would wait 300 s before the next try");
    expect(said.stdout).toContain("total 12");
    expect(said.stdout).toContain("the callback ran");
    expect(said.stdout).toMatch(/^failed flaky in .*: 4 success, 1 failed, 1 upstream_failed$/m);
    expect(said.stdout).toContain("total: ValueError: this run is not good");
    const artifacts = /^artifacts in (.*):$/m.exec(said.stdout)?.[1] ?? "";
    expect(readFileSync(join(artifacts, "numbers", "report.txt"), "utf8")).toBe("three numbers");
    expect(said.code).toBe(1);
  }, 60_000);

  test("goes on from a task with the results of the run before, as one JSON document", async () => {
    const said = await airlock(
      ["run", ".", "flaky", "--from", "total", "--conf", '{"good": true}', "-o", "json"],
      { cwd: root, env },
    );
    expect(json(said)).toMatchObject({ dag_id: "flaky", state: "success" });
    expect(
      (json(said)["task_instances"] as { task_id: string }[])
        .map(({ task_id }) => task_id)
        .toSorted(),
    ).toEqual(["end", "total"]);
    expect(said.stderr).toContain("total 12");
    expect(said.code).toBe(0);
  }, 60_000);

  test("wrong words are wrong use and start nothing", async () => {
    const run = (...more: string[]): Promise<Said> =>
      airlock(["run", ".", ...more], { cwd: root, env });
    expect(await run()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("there are: flaky, nap") as string,
    });
    expect(await run("flaky", "--conf", "[1]")).toMatchObject({ code: 2 });
    expect(await run("flaky", "--logical-date", "yesterday")).toMatchObject({ code: 2 });
    expect(await run("flaky", "--task", "nope")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("numbers, double") as string,
    });
  }, 60_000);

  test("Ctrl-C ends the task, leaves nothing running, and exits with 130", async () => {
    const { child, said, seen } = startAirlock(["run", "dags/nap.py"], { cwd: root, env });
    await seen("asleep");
    child.kill("SIGINT");
    expect((await said).code).toBe(130);
    expect(processesWith(join(folder, "home"))).toEqual([]);
    expect(readdirSync(join(folder, "home", "local-bundles"))).toEqual([]);
  }, 60_000);
});

test("the packed package does the same in a repository of the author's own, types included", async () => {
  const author = write(join(folder, "author"), {
    "package.json": '{"name": "pipelines", "private": true, "type": "module"}',
  });
  const npm = (cwd: string, ...args: string[]): void => {
    execFileSync("npm", [...args, "--silent", "--no-audit", "--no-fund", "--prefer-offline"], {
      cwd,
      stdio: "pipe",
    });
  };
  npm(checkout, "pack", "--pack-destination", folder);
  const packed = readdirSync(folder).find((name) => /^airlock-.*\.tgz$/.test(name)) ?? "";
  npm(author, "install", join(folder, packed));
  const program = join(author, "node_modules", ".bin", "airlock");
  const call = { cwd: author, env, program };
  expect(await airlock(["init", "--ts"], call)).toMatchObject({ code: 0 });
  expect(await airlock(["init", "--python", "py"], call)).toMatchObject({ code: 0 });
  expect(json(await airlock(["validate", "-o", "json"], call))).toMatchObject({ ok: true });
  expect(await airlock(["run", "dags/hello.dag.ts"], call)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("8 letters") as string,
  });
  expect(await airlock(["run", "py"], call)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("8 letters") as string,
  });
  const inPackage = (...path: string[]) => join(author, "node_modules", "airlock", ...path);
  expect(existsSync(inPackage("platform"))).toBe(false);
  // The page comes built: there is nothing to build it with where it is installed.
  expect(existsSync(inPackage("dist", "platform", "web", "dist", "index.html"))).toBe(true);
  expect(existsSync(inPackage("node_modules", "vite"))).toBe(false);

  const tsc = join(checkout, "node_modules", "typescript", "bin", "tsc");
  const typed = (): string => {
    try {
      execFileSync(process.execPath, [tsc, "-p", "."], {
        cwd: author,
        encoding: "utf8",
        stdio: "pipe",
      });
      return "";
    } catch (error) {
      return (error as { stdout: string }).stdout;
    }
  };
  expect(typed()).toBe("");
  const dag = join(author, "dags", "hello.dag.ts");
  writeFileSync(dag, readFileSync(dag, "utf8").replace("name.length", "name.lengthy"));
  expect(typed()).toContain("'lengthy' does not exist on type 'string'");
}, 300_000);

/** Command lines of processes that name this folder. */
function processesWith(text: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return "";
      }
    })
    .filter((line) => line.includes(text));
}
