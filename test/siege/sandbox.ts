/**
 * Hostile code in every place where a stranger's code runs: tasks of the Python and the Node guest and of YAML, the parse
 * of each, and the build of an environment. The probes are `probes/probes.py`; the same file runs beside the house first,
 * without a fence, where each has to succeed on something that was planted for it.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isObject } from "../../platform/model/json.ts";
import { eventually, type House, openHouse, run } from "../kit/house.ts";
import type { Campaign } from "./campaign.ts";
import {
  asAdmin,
  deployed,
  makeLive,
  mustDo,
  openTeam,
  returnedBy,
  runDag,
  writeInto,
} from "./house.ts";

const probesFile = join(import.meta.dirname, "probes", "probes.py");
export async function besiegeSandbox(campaign: Campaign): Promise<void> {
  const planted = await plant();
  let house: House | undefined;
  try {
    house = await openHouse({
      env: {
        ...houseCanary,
        PIP_FIND_LINKS: [process.env["PIP_FIND_LINKS"], planted.links].filter(Boolean).join(" "),
      },
    });
    if (/WITHOUT a sandbox/.test(house.output())) {
      campaign.skip("sandbox", "this machine's kernel allows no sandbox, and the house says so");
      return;
    }
    await attackFromGuests(campaign, house, planted);
    await attackFromBuild(campaign, house, planted);
    await askForOthersThings(campaign, house);
    await leaveThingsBehind(campaign, house);
    await exhaust(campaign, house);
    await checkOutside(campaign, house, planted);
  } finally {
    await house?.remove();
    await planted.remove();
  }
}

/** A slice of it, in a house that a test has opened with `houseCanary` in its environment. */
export async function attackHouse(campaign: Campaign, house: House): Promise<void> {
  const planted = await plant();
  try {
    await attackFromGuests(campaign, house, planted);
    await checkOutside(campaign, house, planted);
  } finally {
    await planted.remove();
  }
}

const canary = "siege-canary";
/** For the environment of the house: no guest may find it. */
export const houseCanary = { SIEGE: `${canary} of the house` };

// ---- what is planted beside the house

type Planted = {
  readonly folder: string;
  readonly decoy: ChildProcess;
  readonly ports: readonly number[];
  readonly udp: number;
  readonly abstract: string;
  readonly socket: string;
  readonly shmFile: string;
  readonly shmKey: number;
  readonly links: string;
  /** What the probes got without a fence, once they ran. */
  outside?: Found;
  remove(): Promise<void>;
};

async function plant(): Promise<Planted> {
  const folder = mkdtempSync(join(tmpdir(), "airlock-siege-"));
  chmodSync(folder, 0o755);
  const links = join(folder, "links");
  mkdirSync(links);
  const decoy = spawn("/bin/sh", ["-c", "while :; do sleep 60; done", "siege-decoy"], {
    env: { SIEGE: `${canary} of a process` },
    stdio: "ignore",
  });
  const servers: Server[] = [];
  const listen = async (where: {
    port?: number;
    host?: string;
    path?: string;
  }): Promise<Server> => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.end("from outside");
    });
    servers.push(server);
    await new Promise<void>((done, fail) => {
      server.once("error", fail);
      server.listen(where, done);
    });
    return server;
  };
  const portOf = (server: Server): number => (server.address() as AddressInfo).port;
  const four = portOf(await listen({ port: 0, host: "127.0.0.1" }));
  const six = await listen({ port: 0, host: "::1" }).then(portOf, () => 0);
  const socket = join(folder, "platform.sock");
  await listen({ path: socket });
  chmodSync(socket, 0o777);
  const abstract = `siege-${process.pid}`;
  await listen({ path: `\0${abstract}` });
  const echo = createSocket("udp4", (_, from) => echo.send("heard", from.port, from.address));
  await new Promise<void>((done) => echo.bind(0, "127.0.0.1", done));
  const shmFile = `/dev/shm/siege-${process.pid}`;
  writeFileSync(shmFile, canary, { mode: 0o666 });
  const shmKey = 0x51e6_0000 + (process.pid & 0xffff);
  python(`import ctypes; print(ctypes.CDLL(None).shmget(${shmKey}, 4096, 0o1666))`);
  return {
    folder,
    decoy,
    ports: [four, six].filter((port) => port > 0),
    udp: echo.address().port,
    abstract,
    socket,
    shmFile,
    shmKey,
    links,
    async remove() {
      decoy.kill("SIGKILL");
      for (const server of servers) server.close();
      echo.close();
      rmSync(shmFile, { force: true });
      python(`import ctypes; l = ctypes.CDLL(None); l.shmctl(l.shmget(${shmKey}, 0, 0), 0, None)`);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const python = (code: string): string =>
  execFileSync("/usr/bin/python3", ["-I", "-S", "-c", code], { encoding: "utf8" });

const cgroupFolders = (): readonly string[] =>
  [
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/memory",
    "/sys/fs/cgroup/pids",
    "/sys/fs/cgroup/unified",
  ].filter((path) => existsSync(path));

type Targets = { readonly [name: string]: unknown };

/** Beside the house every probe aims at what was planted. */
function targetsOutside(planted: Planted): Targets {
  const shared = join(planted.folder, "shared");
  mkdirSync(shared, { recursive: true });
  const secret = join(planted.folder, "secret");
  writeFileSync(secret, canary);
  return {
    process_mark: "siege-decoy",
    pids: [planted.decoy.pid],
    closed: [secret],
    shadow: [secret],
    unix: [planted.socket],
    ports: planted.ports,
    metadata: [["127.0.0.1", planted.ports[0]]],
    udp: [planted.udp],
    house_files: [secret],
    others_files: [secret],
    abstract: [planted.abstract],
    shm_files: [planted.shmFile],
    shm_keys: [planted.shmKey],
    guest_sockets: [planted.socket],
    readonly: [shared],
    readonly_files: [secret],
    foreign_files: [secret],
    devices: ["/dev/kmsg", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/mem"],
    cgroups: cgroupFolders(),
  };
}

/** Inside it aims at the house, at the neighbours and at the same plants. */
function targetsInside(house: House, planted: Planted): Targets {
  const outside = targetsOutside(planted);
  const postgres = processesWith("postgres").filter((pid) => belongsTo(pid, house.home));
  const port = Number(new URL(house.url).port);
  const database = /^\d+$/m.exec(readPostmaster(house))?.[0];
  const list = (name: string): readonly unknown[] => outside[name] as readonly unknown[];
  const shadows = [1, house.pid, planted.decoy.pid].map(
    (pid) => `/proc/${String(pid)}/root/etc/shadow`,
  );
  return {
    ...outside,
    process_mark: "airlock.mjs",
    pids: [house.pid, planted.decoy.pid, ...postgres],
    closed: [
      ...list("closed"),
      join(house.home, "postgres"),
      join(house.home, "secret.key"),
      "/dev/pts",
      "/dev/tty",
    ],
    shadow: ["/etc/shadow", ...shadows],
    unix: [
      ...list("unix"),
      ...postgresSockets(house),
      "/var/run/postgresql/.s.PGSQL.5432",
      "/run/docker.sock",
    ],
    ports: [...list("ports"), port, ...(database === undefined ? [] : [Number(database)]), 5432],
    metadata: [["169.254.169.254", 80]],
    guest_sockets: ["/run/airlock/guest.sock"],
    // Not the home itself: it may lie under /tmp, and a guest's own /tmp then has a folder of that name.
    house_files: [
      ...[
        "secret.key",
        "postgres.secret",
        "local-profile.json",
        "server.json",
        "postgres",
        "repositories",
        "mirrors",
        "objects",
      ].map((name) => join(house.home, name)),
      ...list("house_files"),
    ],
    others_files: [
      ...foldersBelow(join(house.home, "bundles", "victim")),
      ...foldersBelow(join(house.home, "guests-state", "work")),
      ...foldersBelow(join(house.home, "repositories", "victim")),
    ],
    readonly: [
      "/",
      "/usr",
      "/usr/bin",
      "/etc",
      "/bin",
      "/lib",
      "/run",
      "/run/airlock",
      "/airlock",
      "/airlock/guest",
      "/bundle",
      "/bundle/dags",
      "/opt",
      "/var/tmp",
      "/home",
      ...foldersBelow(join(house.home, "environments")).slice(1),
      ...foldersBelow(join(house.home, "bundles")).slice(1),
    ],
    readonly_files: [
      "/usr/bin/id",
      "/bundle/include/probes.py",
      "/airlock/guest/main.py",
      ...list("readonly_files"),
    ],
    foreign_files: ["/usr/bin/id", "/bundle/include/probes.py", ...list("foreign_files")],
  };
}

const foldersBelow = (folder: string): readonly string[] =>
  existsSync(folder)
    ? [
        folder,
        ...readdirSync(folder, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isDirectory())
          .map((entry) => join(entry.parentPath, entry.name)),
      ].slice(0, 40)
    : [];

function readPostmaster(house: House): string {
  const [file] = foldersBelow(join(house.home, "postgres"))
    .map((folder) => join(folder, "postmaster.pid"))
    .filter((path) => existsSync(path));
  return file === undefined ? "" : readFileSync(file, "utf8").split("\n").slice(3, 4).join("\n");
}

const postgresSockets = (house: House): readonly string[] =>
  foldersBelow(join(house.home, "postgres")).flatMap((folder) => {
    try {
      return readdirSync(folder)
        .filter((name) => name.startsWith(".s.PGSQL") && !name.endsWith(".lock"))
        .map((name) => join(folder, name));
    } catch {
      return [];
    }
  });

function processesWith(mark: string): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => commandLine(pid).includes(mark))
    .map(Number);
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

const belongsTo = (pid: number, home: string): boolean => commandLine(String(pid)).includes(home);

// ---- the probes, outside and in every place inside

type Found = { readonly [probe: string]: string | null };

/** Without a fence: which probes can succeed on this machine at all. */
async function runOutside(planted: Planted): Promise<Found> {
  const file = join(planted.folder, "targets.json");
  const targets = targetsOutside(planted);
  writeFileSync(file, JSON.stringify(targets));
  const [secret] = targets["house_files"] as readonly string[];
  const line = `exec 7<'${String(secret)}'; exec /usr/bin/python3 -I '${probesFile}' '${file}'`;
  // `script` gives it a terminal, the shell a descriptor that nobody closed.
  const hasScript = existsSync("/usr/bin/script");
  const ran = await run(
    hasScript ? "/usr/bin/script" : "/bin/sh",
    hasScript ? ["-qec", line, "/dev/null"] : ["-c", line],
    { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", SIEGE: `${canary} inherited` } },
  );
  const out = ran.stdout;
  if (!out.includes("{"))
    throw new Error(`the probes did not run beside the house: ${out}${ran.stderr}`);
  return JSON.parse(out.slice(out.indexOf("{"))) as Found;
}

const names = (found: Found): readonly string[] =>
  Object.keys(found).filter((name) => !name.endsWith(":error"));

async function attackFromGuests(campaign: Campaign, house: House, planted: Planted): Promise<void> {
  const outside = await runOutside(planted);
  planted.outside = outside;
  const able = names(outside).filter((name) => outside[name] !== null);
  for (const name of names(outside))
    if (!able.includes(name))
      campaign.skip(`sandbox ${name}`, "it fails on this machine without a fence as well");
  campaign.tell(
    `sandbox: ${able.length} of ${names(outside).length} probes succeed without a fence`,
  );

  const victim = await openTeam(house, "victim");
  await plantVictim(house, victim);
  const team = await openTeam(house, "raider");
  writeInto(team, { ...probesFor(house, planted), ...attackers });
  const deploy = await makeLive(house, "raider", team, "an attack");

  campaign.tell("sandbox: at parse");
  for (const [place, file] of [
    ["the parse of Python", "parse_attack.py"],
    ["the parse of TypeScript", "parse_attack.dag.ts"],
  ] as const) {
    const said = deploy.errors
      .filter(({ path }) => path.endsWith(file))
      .map(({ message }) => message)
      .join("\n");
    judge(campaign, outside, place, unpacked(said));
  }
  campaign.tell("sandbox: in tasks");
  const guests = [
    ["a Python task", "python_attack", "attack"],
    ["a Node task", "node_attack", "attack"],
    ["a YAML task", "yaml_attack", "attack"],
  ] as const;
  await Promise.all(
    guests.map(async ([place, dag, task]) => {
      const state = await runDag(house, "raider", dag);
      if (state !== "success") campaign.probe(`the probes in ${place}`, `did not run: ${state}`);
      else
        judge(
          campaign,
          outside,
          place,
          await returnedBy(house, "raider", dag, task).then(readJson),
        );
    }),
  );
}

function judge(campaign: Campaign, outside: Found, place: string, found: unknown): void {
  if (!isObject(found)) {
    campaign.probe(`the probes in ${place}`, `gave no answer: ${JSON.stringify(found)}`);
    return;
  }
  for (const name of names(outside)) {
    const got = found[name];
    if (outside[name] === null && got === null) continue;
    campaign.probe(`${name} in ${place}`, got === null ? undefined : `got ${JSON.stringify(got)}`);
  }
}

const readJson = (value: unknown): unknown =>
  typeof value === "string" ? (JSON.parse(value) as unknown) : value;

const probesFor = (
  house: House,
  planted: Planted,
): { readonly [path: string]: string | Uint8Array } => ({
  "include/probes.py": readFileSync(probesFile),
  "include/targets.json": JSON.stringify(targetsInside(house, planted)),
});

/** An error's text has a bound: what was found comes packed, and nulls are left out. */
function unpacked(message: string): unknown {
  const [, count, got] = /SIEGE (\d+) (\{.*?\}) END/s.exec(message) ?? [];
  if (got === undefined) return `no answer in ${message.slice(0, 300)}`;
  const found = JSON.parse(got) as Found;
  return new Proxy(found, {
    get: (target, name: string) => (Number(count) > 20 ? (target[name] ?? null) : "it did not run"),
  });
}

const packPython = `
import json, os, runpy
here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
probes = runpy.run_path(os.path.join(here, "include", "probes.py"))
with open(os.path.join(here, "include", "targets.json")) as file:
    found = probes["run"](json.load(file))
`;

const attackers: { readonly [path: string]: string } = {
  "dags/parse_attack.py": `import airflow.sdk  # a dag
${packPython}
got = {k: v for k, v in found.items() if v and not k.endswith(":error")}
raise RuntimeError("SIEGE %d %s END" % (len(found), json.dumps(got)))
`,
  "dags/python_attack.py": `from airflow.sdk import dag, task
@dag(schedule=None)
def python_attack():
    @task
    def attack():
        ${packPython.trim().replaceAll("\n", "\n        ")}
        return found
    attack()
python_attack()
`,
  "dags/lib/run-probes.ts": `import { execFileSync } from "node:child_process";
import { join } from "node:path";
export const found = (bundle: string): Record<string, string | null> =>
  JSON.parse(execFileSync("/usr/bin/python3", ["-I", join(bundle, "include/probes.py"), join(bundle, "include/targets.json")], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }));
`,
  "dags/parse_attack.dag.ts": `import { dag } from "airlock";
import { join } from "node:path";
import { found } from "./lib/run-probes.ts";
const all = found(join(import.meta.dirname, ".."));
const got = Object.fromEntries(Object.entries(all).filter(([name, value]) => value !== null && !name.endsWith(":error")));
dag({ id: "unreached", build() {} });
throw new Error(\`SIEGE \${Object.keys(all).length} \${JSON.stringify(got)} END\`);
`,
  "dags/node_attack.dag.ts": `import { dag } from "airlock";
import { join } from "node:path";
import { found } from "./lib/run-probes.ts";
export default dag({ id: "node_attack", build({ task }) {
  task("attack", { run: () => found(join(import.meta.dirname, "..")) });
} });
`,
  "dags/yaml_attack.dag.yaml": `id: yaml_attack
tasks:
  attack:
    type: bash
    command: /usr/bin/python3 -I "$AIRLOCK_BUNDLE/include/probes.py" "$AIRLOCK_BUNDLE/include/targets.json"
`,
};

/** A package whose own build runs the probes, and carries what they got into the environment that a task then reads. */
async function attackFromBuild(campaign: Campaign, house: House, planted: Planted): Promise<void> {
  const { outside } = planted;
  if (outside === undefined) throw new Error("the probes did not run beside the house");
  campaign.tell("sandbox: in the build of an environment");
  const name = `siegebuild${process.pid}`;
  const source = join(planted.folder, `${name}-1.0`);
  mkdirSync(source);
  for (const [path, content] of Object.entries(probesFor(house, planted)))
    writeFileSync(join(source, path.slice("include/".length)), content);
  writeFileSync(
    join(source, "pyproject.toml"),
    '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
  );
  writeFileSync(join(source, "PKG-INFO"), `Metadata-Version: 2.1\nName: ${name}\nVersion: 1.0\n`);
  writeFileSync(
    join(source, "backend.py"),
    `import json, os, runpy, zipfile
def build_wheel(where, *_):
    found = runpy.run_path("probes.py")["run"](json.load(open("targets.json")))
    name = "${name}-1.0-py3-none-any.whl"
    info = "${name}-1.0.dist-info/"
    with zipfile.ZipFile(os.path.join(where, name), "w") as wheel:
        wheel.writestr("siege_found.py", "found = " + repr(found))
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: ${name}\\nVersion: 1.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: siege\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return name
`,
  );
  execFileSync("tar", [
    "-czf",
    join(planted.links, `${name}-1.0.tar.gz`),
    "-C",
    planted.folder,
    `${name}-1.0`,
  ]);
  const team = await openTeam(house, "raider", "build");
  writeInto(team, {
    "requirements.txt": `${name}==1.0\n`,
    "dags/built.py": `from airflow.sdk import dag, task
@dag(schedule=None)
def built():
    @task
    def attack():
        import siege_found
        return siege_found.found
    attack()
built()
`,
  });
  const pushed = await team.push("a package");
  const deploy = await deployed(house, "raider", team);
  if (deploy.state === "failed") {
    campaign.skip(
      "sandbox, the build of an environment",
      `none could be built: ${pushed.stderr.slice(-300)}`,
    );
    return;
  }
  const state = await runDag(house, "raider", "built");
  judge(
    campaign,
    outside,
    "the build of an environment",
    state === "success" ? await returnedBy(house, "raider", "built", "attack") : state,
  );
}

// ---- the protocol: other tenants' things, asked for by name

async function plantVictim(
  house: House,
  clone: Awaited<ReturnType<typeof openTeam>>,
): Promise<void> {
  await mustDo(house, "POST", "/t/victim/api/v2/connections", {
    connection_id: "vault",
    conn_type: "http",
    host: `${canary}.example`,
    password: `${canary}-password`,
  });
  await mustDo(house, "POST", "/t/victim/api/v2/variables", {
    key: "vault",
    value: `${canary}-variable`,
  });
  writeInto(clone, {
    "dags/asks.py": asks("asks", "victims_data"),
    "dags/victims_data.py": victimsData,
  });
  await makeLive(house, "victim", clone, "first");
  await runDag(house, "victim", "victims_data");
}

const victimsData = `from airflow.sdk import dag, task
@dag(schedule=None)
def victims_data():
    @task
    def hold():
        return "${canary}-xcom"
    hold()
victims_data()
`;

/** A DAG that asks for things by name: its own tenant's have the answers, another tenant's must not. */
const asks = (id: string, other: string): string => `import json, os, socket, struct
from airflow.sdk import dag, task
@dag(schedule=None, dag_id="${id}")
def asking():
    @task
    def ask(**context):
        from airflow.models import Variable
        from airflow.hooks.base import BaseHook
        got = {}
        def attempt(name, work):
            try:
                value = str(work())
                got[name] = value if "${canary.slice(0, 5)}" in value else None
            except BaseException as error:
                got[name] = None
        # Turned round: the masking that hides a secret's own form must not hide that it was had.
        turned = lambda text: "${canary.slice(0, 5)} had " + text[::-1] if "${canary}" in text else ""
        attempt("variable", lambda: turned(Variable.get("vault")))
        attempt("connection", lambda: turned(BaseHook.get_connection("vault").host))
        attempt("xcom", lambda: turned(str(context["ti"].xcom_pull(dag_id="${other}", task_ids="hold", run_id="siege", include_prior_dates=True))))
        return got
    ask()
asking()
`;

async function askForOthersThings(campaign: Campaign, house: House): Promise<void> {
  campaign.tell("sandbox: another tenant's things by name");
  const team = await openTeam(house, "raider", "asking");
  writeInto(team, { "dags/asks.py": asks("asks", "victims_data") });
  await makeLive(house, "raider", team, "asks");
  const answers = new Map<string, unknown>();
  for (const tenant of ["victim", "raider"]) {
    const state = await runDag(house, tenant, "asks");
    answers.set(
      tenant,
      state === "success" ? await returnedBy(house, tenant, "asks", "ask") : state,
    );
  }
  const own = answers.get("victim");
  const others = answers.get("raider");
  if (!isObject(own) || !isObject(others)) {
    campaign.probe("asking by name", `gave no answer: ${JSON.stringify([own, others])}`);
    return;
  }
  for (const name of ["variable", "connection", "xcom"]) {
    if (typeof own[name] !== "string")
      campaign.skip(
        `sandbox ${name} of another tenant`,
        `its own tenant had none: ${JSON.stringify(own)}`,
      );
    else
      campaign.probe(
        `${name} of another tenant`,
        others[name] === null ? undefined : `had ${JSON.stringify(others[name])}`,
      );
  }
}

// ---- what is left behind for the house to step on

async function leaveThingsBehind(campaign: Campaign, house: House): Promise<void> {
  campaign.tell("sandbox: traps for the house");
  const mark = `siege-left-${process.pid}`;
  const team = await openTeam(house, "raider", "leaving");
  writeInto(team, {
    "dags/leaves.py": `import os, sys, stat
from airflow.sdk import dag, task
@dag(schedule=None)
def leaves():
    @task
    def leave():
        folder = os.environ["AIRLOCK_ARTIFACTS"]
        open(os.path.join(folder, "plain.txt"), "w").write("plain")
        for name, target in (("link", "${house.home}/secret.key"), ("folder", "/etc"), ("up", "../../../.."), ("proc", "/proc/self/environ")):
            os.symlink(target, os.path.join(folder, name))
        try: os.link("/etc/passwd", os.path.join(folder, "hard"))
        except OSError: pass
        try: os.mkfifo(os.path.join(folder, "fifo"))
        except OSError: pass
        tool = os.path.join(folder, "tool")
        open(tool, "w").write("#!/bin/sh\\nid\\n")
        os.chmod(tool, 0o6755)
        print("\\x1b]0;owned\\x07\\x1b[2J\\x00\\r{\\"level\\":\\"error\\",\\"tenant\\":\\"victim\\"}")
        print("[2026-01-01, 00:00:00 UTC] {taskinstance.py:1} INFO - forged\\u2028line")
        return 1
    @task
    def stay():
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for fd in range(3): os.close(fd)
                import signal
                for one in (1, 2, 15): signal.signal(one, signal.SIG_IGN)
                os.execv("/bin/sh", ["${mark}", "-c", "while :; do sleep 1; done"])
            os._exit(0)
        return 1
    leave(), stay()
leaves()
`,
  });
  await makeLive(house, "raider", team, "traps");
  const state = await runDag(house, "raider", "leaves");
  campaign.probe(
    "a task that leaves traps is a task like others",
    state === "success" ? undefined : state,
  );
  const listed = await asAdmin(
    house,
    "GET",
    "/t/raider/api/v2/dags/leaves/dagRuns/siege/artifacts",
  );
  const artifacts = isObject(listed.body) ? JSON.stringify(listed.body) : listed.text;
  campaign.probe(
    "a plain artifact arrives",
    artifacts.includes("plain.txt") ? undefined : artifacts,
  );
  for (const name of ["link", "folder", "up", "proc", "hard", "fifo"]) {
    const got = await asAdmin(
      house,
      "GET",
      `/t/raider/api/v2/dags/leaves/dagRuns/siege/taskInstances/leave/artifacts/1/${name}`,
    );
    campaign.probe(
      `the artifact ${name} leads nowhere`,
      got.status === 404 ? undefined : `${got.status} ${got.text.slice(0, 100)}`,
    );
  }
  const special = filesBelow(house.home).filter(({ mode }) => (mode & 0o6000) !== 0);
  campaign.probe(
    "no file of a guest keeps a setuid bit",
    special.length === 0 ? undefined : special.map(({ path }) => path).join(),
  );
  const log = await asAdmin(
    house,
    "GET",
    "/t/raider/api/v2/dags/leaves/dagRuns/siege/taskInstances/leave/logs/1",
  );
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  const raw = /[\u0000-\u0008\u000b\u000c\u000e-\u001f]/.exec(log.text);
  campaign.probe(
    "control characters in a log are shown as text",
    raw === null ? undefined : JSON.stringify(log.text.slice(raw.index, raw.index + 40)),
  );
  const gone = await eventually(
    async () => (processesWith(mark).length === 0 ? true : undefined),
    15_000,
  ).catch(() => false);
  campaign.probe(
    "a daemon ends with its task",
    gone ? undefined : `it lives: ${processesWith(mark).join()}`,
  );
}

function filesBelow(folder: string): readonly { readonly path: string; readonly mode: number }[] {
  return ["objects", "guests-state", "bundles", "environments"].flatMap((name) => {
    const at = join(folder, name);
    if (!existsSync(at)) return [];
    return readdirSync(at, { recursive: true, withFileTypes: true }).flatMap((entry) => {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile()) return [];
      try {
        return [{ path, mode: statSync(path).mode }];
      } catch {
        return [];
      }
    });
  });
}

// ---- exhaustion, bounded so that a missing fence would not harm the machine

async function exhaust(campaign: Campaign, house: House): Promise<void> {
  campaign.tell("sandbox: exhaustion");
  await mustDo(house, "PATCH", "/api/platform/tenants/raider", {
    limits: {
      memory: "256MiB",
      processes: 60,
      file_size: "16MiB",
      log_size: "4MiB",
      xcom_size: "1MiB",
      wall_seconds: 60,
    },
  });
  const team = await openTeam(house, "raider", "exhausting");
  /** Code, and what would be printed by whoever got further than allowed. */
  const attacks: { readonly [name: string]: string } = {
    memory:
      "x = []\nfor i in range(120): x.append(bytearray(b'x' * 10_000_000))\nreturn 'SIEGE held 1.2 GB'",
    threads:
      "import threading\nn = 0\nfor i in range(400):\n    threading.Thread(target=time.sleep, args=(20,), daemon=True).start(); n += 1\nreturn 'SIEGE %d threads' % n",
    processes:
      "n = 0\nfor i in range(400):\n    if os.fork() == 0:\n        time.sleep(20); os._exit(0)\n    n += 1\nreturn 'SIEGE %d processes' % n",
    one_file:
      "f = open('big', 'wb', 0)\nfor i in range(64): f.write(b'x' * 1_000_000)\nreturn 'SIEGE wrote %d' % os.path.getsize('big')",
    temporary:
      "for n in range(60):\n    with open('/tmp/f%d' % n, 'wb') as f: f.write(b'x' * 10_000_000)\nreturn 'SIEGE filled /tmp with 600 MB'",
    descriptors:
      "x = [os.open('/dev/null', os.O_RDONLY) for i in range(100_000)]\nreturn 'SIEGE %d descriptors' % len(x)",
    log: "for i in range(3000): print('y' * 10_000)\nreturn 'SIEGE printed 30 MB'",
    result: "return 'x' * 30_000_000",
    deep: "import json\nx = []\nfor i in range(5_000): x = [x]\nimport sys; sys.setrecursionlimit(100_000)\nreturn x",
    error: "raise RuntimeError('e' * 50_000_000)",
    killing: "os.kill(-1, 9)\ntime.sleep(1)\nreturn 'SIEGE outlived'",
  };
  for (const [name, code] of Object.entries(attacks))
    writeInto(team, {
      [`dags/${name}.py`]: `import os, time
from airflow.sdk import dag, task
@dag(schedule=None, dag_id="exhaust_${name}")
def made():
    @task
    def attack():
        ${code.replaceAll("\n", "\n        ")}
    attack()
made()
`,
    });
  await makeLive(house, "raider", team, "exhaustion");
  const before = residentBytes(house.pid);
  for (const name of Object.keys(attacks)) {
    const state = await runDag(house, "raider", `exhaust_${name}`);
    const returned = await returnedBy(house, "raider", `exhaust_${name}`, "attack");
    campaign.probe(
      `exhausting ${name}`,
      // Who kills all around it may live on itself: the neighbours are what counts.
      state === "success" && name !== "killing"
        ? `went through: ${JSON.stringify({ returned }).slice(0, 100)}`
        : undefined,
    );
    const neighbour = await runDag(house, "victim", "victims_data", `beside-${name}`);
    campaign.probe(`the neighbour after ${name}`, neighbour === "success" ? undefined : neighbour);
  }
  const grown = residentBytes(house.pid) - before;
  campaign.probe(
    "the house's memory after all of it",
    grown < 400 * 1024 * 1024 ? undefined : `grew by ${grown} bytes`,
  );
  campaign.skip(
    "sandbox inodes and disk in sum",
    "a guest's folder is bounded per file and by the machine, not in sum (tenants/sandbox/README.md)",
  );
}

const residentBytes = (pid: number): number =>
  1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);

// ---- afterwards, from outside

async function checkOutside(campaign: Campaign, house: House, planted: Planted): Promise<void> {
  campaign.probe(
    "the decoy lives",
    planted.decoy.exitCode === null && planted.decoy.signalCode === null
      ? undefined
      : "it was ended",
  );
  const health = await asAdmin(house, "GET", "/readyz");
  campaign.probe("the house is ready", health.status === 200 ? undefined : health.text);
  campaign.probe(
    "the neighbour's DAG runs",
    await runDag(house, "victim", "victims_data", "after").then((state) =>
      state === "success" ? undefined : state,
    ),
  );
  const crashed = /"level":"fatal"|uncaught|unhandled/i.exec(house.output());
  campaign.probe(
    "the house crashed nowhere",
    crashed === null ? undefined : house.output().slice(crashed.index, crashed.index + 200),
  );
}
