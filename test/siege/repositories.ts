/**
 * Repositories made to hurt whoever receives, reads or checks them out, pushed to the built-in host of a real house. Each
 * may be refused at the door or become a deploy with errors; it may not take the last good version away, write outside of
 * its bundle, show what is not its own, or disturb the neighbour.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { isObject } from "../../platform/model/json.ts";
import { craftBomb, craftCommit, craftRawTree, git } from "../kit/git.ts";
import { eventually, type House, openHouse, run } from "../kit/house.ts";
import type { Campaign } from "./campaign.ts";
import { diceOf, mutateBytes } from "./dice.ts";
import {
  asAdmin,
  type Deploy,
  deploysOf,
  makeLive,
  mustDo,
  openTeam,
  runDag,
  writeInto,
} from "./house.ts";

const pwned = "siege-pwned";

const good = (id: string): string => `from airflow.sdk import dag, task
@dag(schedule=None, dag_id="${id}")
def made():
    @task
    def breathe():
        return "${id}"
    breathe()
made()
`;

export async function besiegeRepositories(campaign: Campaign): Promise<void> {
  const house = await openHouse();
  const folder = mkdtempSync(join(tmpdir(), "airlock-hostile-"));
  try {
    const victim = await openTeam(house, "victim");
    writeInto(victim, { "dags/calm.py": good("calm") });
    await makeLive(house, "victim", victim, "calm");
    await mustDo(house, "POST", "/api/platform/tenants", { name: "raider" });
    await mustDo(house, "POST", "/api/platform/tenants/raider/repositories", { name: "code" });
    const here: Here = { campaign, house, folder, bundles: bundlesOf(house, "victim") };
    git(folder, ["init", "--quiet", "--initial-branch=main", "."]);
    const first = tree(folder, {});
    const pushed = await push(here, commitOf(folder, first));
    if (!pushed.said.includes("live in")) throw new Error(`the first push: ${pushed.said}`);
    checkThatStraysAreSeen(here);
    for (const attack of attacks) {
      campaign.tell(`repositories: ${attack.name}`);
      await attackWith(here, attack);
    }
    await spoilPacks(here);
    await pushElsewhere(here);
    await nameAddresses(here);
    campaign.probe(
      "the neighbour runs at the end",
      await runDag(house, "victim", "calm", "end").then((state) =>
        state === "success" ? undefined : state,
      ),
    );
    const crash = /uncaught|unhandledRejection|"level":"fatal"/i.exec(house.output());
    campaign.probe(
      "nothing crashed",
      crash === null ? undefined : house.output().slice(crash.index, crash.index + 400),
    );
  } finally {
    await house.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

type Here = {
  readonly campaign: Campaign;
  readonly house: House;
  /** The attacker's own repository. */
  readonly folder: string;
  readonly bundles: string;
};

type Attack = {
  readonly name: string;
  /** A commit beside a good DAG. */
  readonly make: (folder: string) => string;
  /** What must (not) have come of it, beside what holds for all. */
  readonly check?: (
    here: Here,
    deploy: Deploy | undefined,
    said: string,
  ) => Promise<string | undefined>;
};

// ---- making commits

type Files = { readonly [path: string]: string | Buffer };

/** A tree of these files and the good DAG, as `git add` would make it. */
function tree(folder: string, files: Files): string {
  const work = mkdtempSync(join(tmpdir(), "airlock-tree-"));
  try {
    for (const [path, content] of Object.entries({ "dags/good.py": good("good"), ...files })) {
      mkdirSync(dirname(join(work, path)), { recursive: true });
      writeFileSync(join(work, path), content);
    }
    const at = ["--git-dir", join(folder, ".git"), "--work-tree", work];
    git(folder, [...at, "read-tree", "--empty"]);
    git(folder, [...at, "add", "--force", "--all", "."]);
    return git(folder, ["write-tree"]);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const commitOf = (folder: string, object: string, message = "hostile"): string =>
  git(folder, ["commit-tree", object, "-m", message]);

const blob = (folder: string, content: string | Buffer): string =>
  git(folder, ["hash-object", "-w", "--stdin"], content);

/** The good DAG and raw entries beside it, past all checks of git's own commands. */
function beside(
  folder: string,
  entries: readonly { readonly mode: string; readonly name: string; readonly object: string }[],
): string {
  const dags = git(folder, ["rev-parse", `${tree(folder, {})}:dags`]);
  const all = [{ mode: "40000", name: "dags", object: dags }, ...entries];
  const sorted = all.toSorted((a, b) => (sortName(a) < sortName(b) ? -1 : 1));
  return commitOf(folder, craftRawTree(folder, sorted));
}
const sortName = ({ mode, name }: { readonly mode: string; readonly name: string }): string =>
  mode === "40000" ? `${name}/` : name;

const named = (folder: string, name: string): string =>
  beside(folder, [{ mode: "100644", name, object: blob(folder, pwned) }]);
const below = (folder: string, ...path: readonly string[]): string => {
  let entry = { mode: "100644", name: path.at(-1) ?? "x", object: blob(folder, pwned) };
  for (const name of path.slice(0, -1).toReversed())
    entry = { mode: "40000", name, object: craftRawTree(folder, [entry]) };
  return beside(folder, [entry]);
};

const link = (folder: string, name: string, target: string): string =>
  beside(folder, [{ mode: "120000", name, object: blob(folder, target) }]);

const filesOf = (folder: string, files: Files, message?: string): string =>
  commitOf(folder, tree(folder, files), message);

const shell = `touch ${join(tmpdir(), pwned)}`;

const attacks: readonly Attack[] = [
  ...[
    "..",
    "../siege-pwned.py",
    "../../../siege-pwned",
    "a/../../siege-pwned",
    ".git",
    ".GIT",
    "git~1",
    ".git ",
    ".g\u200cit",
    "a\\..\\siege-pwned.py",
    "C:\\siege-pwned",
    "\\\\host\\share",
    "aux.py:stream",
    "/siege-pwned",
  ].map(
    (name): Attack => ({
      name: `a file called ${JSON.stringify(name)}`,
      make: (folder) => named(folder, name),
    }),
  ),
  ...[
    ["..", "siege-pwned"],
    [".git", "hooks", "post-checkout"],
    [".git", "config"],
    ["dags2", "..", "..", "siege-pwned"],
    ["...", "x.py"],
  ].map(
    (path): Attack => ({
      name: `a path of ${path.join(" then ")}`,
      make: (folder) => below(folder, ...path),
    }),
  ),
  ...(
    [
      ["passwd.py", "/etc/passwd"],
      ["environ.py", "/proc/self/environ"],
      ["home", "../../../../.."],
      ["self", "self"],
      ["include", "/"],
      ["requirements.txt", "/etc/shadow"],
      ["airlock.yaml", "/etc/passwd"],
    ] as const
  ).map(
    ([name, target]): Attack => ({
      name: `a link ${name} to ${target}`,
      make: (folder) => link(folder, name, target),
    }),
  ),
  {
    name: "a link and a folder of one name",
    make: (folder) =>
      beside(folder, [
        { mode: "120000", name: "lib", object: blob(folder, tmpdir()) },
        {
          mode: "40000",
          name: "lib",
          object: craftRawTree(folder, [
            { mode: "100644", name: pwned, object: blob(folder, "x") },
          ]),
        },
      ]),
  },
  {
    name: "submodules with addresses that are commands",
    make: (folder) => {
      const modules = `[submodule "a"]\n path = a\n url = ext::sh -c ${JSON.stringify(shell)}\n[submodule "../../x"]\n path = ../../x\n url = -u./x\n update = !${shell}\n`;
      return beside(folder, [
        { mode: "100644", name: ".gitmodules", object: blob(folder, modules) },
        { mode: "160000", name: "a", object: "1".repeat(40) },
      ]);
    },
  },
  {
    name: "filters, hooks and settings in the tree",
    make: (folder) =>
      filesOf(folder, {
        ".gitattributes": "* filter=evil diff=evil merge=evil export-subst ident text eol=crlf\n",
        ".gitconfig": `[filter "evil"]\n smudge = ${shell}\n clean = ${shell}\n[core]\n fsmonitor = ${shell}\n hooksPath = hooks\n`,
        "hooks/post-checkout": `#!/bin/sh\n${shell}\n`,
        "hooks/post-receive": `#!/bin/sh\n${shell}\n`,
        ".lfsconfig": `[lfs]\n url = http://127.0.0.1:9/\n`,
      }),
  },
  {
    name: "a bare repository inside the tree",
    make: (folder) =>
      filesOf(folder, {
        HEAD: "ref: refs/heads/main\n",
        config: `[core]\n repositoryformatversion = 0\n bare = true\n fsmonitor = ${shell}\n sshCommand = ${shell}\n`,
        "objects/info/alternates": "../../../victim/code.git/objects\n",
        "refs/heads/main": "0".repeat(40),
        "dags/HEAD": "ref: refs/heads/main\n",
      }),
  },
  { name: "a tree of 10^8 paths", make: craftBomb, check: isRefused },
  {
    name: "100,000 files",
    make: (folder) => {
      const object = blob(folder, "x");
      const entries = Array.from({ length: 100_000 }, (_, at) => ({
        path: `f${String(at).padStart(6, "0")}.py`,
        object,
      }));
      return craftCommit(folder, entries);
    },
    check: isRefused,
  },
  {
    name: "a file of 40 MB that packs to nothing",
    make: (folder) => filesOf(folder, { "dags/big.py": Buffer.alloc(40_000_000, 32) }),
  },
  {
    name: "a file of 300 MB that packs to nothing",
    make: (folder) => filesOf(folder, { "data/zeros": Buffer.alloc(300_000_000) }),
  },
  {
    name: "one blob under so many names that it is 400 MB",
    make: (folder) => {
      const object = blob(folder, Buffer.alloc(4_000_000, 32));
      return beside(folder, [
        {
          mode: "40000",
          name: "data",
          object: craftRawTree(
            folder,
            Array.from({ length: 100 }, (_, at) => ({
              mode: "100644",
              name: `f${String(at).padStart(3, "0")}`,
              object,
            })),
          ),
        },
      ]);
    },
  },
  {
    name: "names that are no UTF-8, and control characters in names",
    make: (folder) => {
      const object = blob(folder, good("odd"));
      const raw = (name: Buffer): Buffer =>
        Buffer.concat([Buffer.from("100644 "), name, Buffer.from([0]), Buffer.from(object, "hex")]);
      const bytes = Buffer.concat(
        [
          Buffer.from([1, 0x2e, 0x70, 0x79]),
          Buffer.from("\u001b[2J.py"),
          Buffer.from([0xff, 0xfe, 0x2e, 0x70, 0x79]),
        ].map(raw),
      );
      const odd = git(folder, ["hash-object", "-t", "tree", "-w", "--stdin", "--literally"], bytes);
      return beside(folder, [{ mode: "40000", name: "odd", object: odd }]);
    },
  },
  {
    name: "names that differ only in case",
    make: (folder) => {
      const object = blob(folder, good("one"));
      return beside(
        folder,
        ["A.py", "a.py", "ﬁ.py", "fi.py"].map((name) => ({ mode: "100644", name, object })),
      );
    },
  },
  {
    name: "a path 150 folders deep and a name of 300 characters",
    make: (folder) =>
      below(folder, ...Array.from({ length: 150 }, () => "d"), `${"n".repeat(300)}.py`),
  },
  {
    name: "a DAG with the neighbour's id",
    make: (folder) => filesOf(folder, { "dags/calm.py": good("calm") }),
    check: neighbourIsItself,
  },
  {
    name: "DAG ids that mean something elsewhere",
    make: (folder) =>
      filesOf(
        folder,
        Object.fromEntries(
          [
            "../victim/calm",
            "victim/calm",
            "~",
            "*",
            "calm\\0",
            "calm%2f",
            "ca\u200blm",
            "..",
            "a'; drop table airlock.dag; --",
            "{{ 7*7 }}",
          ].map((id, at) => [`dags/odd_${at}.py`, good(id)]),
        ),
      ),
    check: async (here) => {
      const listed = await asAdmin(here.house, "GET", "/t/raider/api/v2/dags?limit=100");
      const ids = isObject(listed.body)
        ? (listed.body["dags"] as { dag_id: string }[]).map(({ dag_id }) => dag_id)
        : [];
      const odd = ids.filter((id) => !/^[\w.-]+$/.test(id) || id === "..");
      return odd.length === 0 ? neighbourIsItself(here) : `took ${JSON.stringify(odd)}`;
    },
  },
  {
    name: "YAML that grows, nests and makes objects",
    make: (folder) =>
      filesOf(folder, {
        "dags/laughs.dag.yaml": `a: &a [${"x,".repeat(9)}x]\n${["b", "c", "d", "e", "f", "g", "h", "i"].map((name, at) => `${name}: &${name} [${`*${"abcdefgh"[at]},`.repeat(9)}*${"abcdefgh"[at]}]`).join("\n")}\n`,
        "dags/deep.dag.yaml": `${"[".repeat(50_000)}`,
        "dags/deeper.dag.yaml": Array.from(
          { length: 5_000 },
          (_, at) => `${" ".repeat(at)}a:`,
        ).join("\n"),
        "dags/objects.dag.yaml":
          "id: objects\ntasks:\n  a: !!python/object/apply:os.system ['id']\n  b: !!js/function 'function(){}'\n  c: !include /etc/passwd\n",
        "dags/merge.dag.yaml": "a: &a\n  <<: *a\nid: x\n",
        "dags/huge.dag.yaml": `id: huge\ndescription: "${"x".repeat(2_000_000)}"\n`,
      }),
    check: async (_, deploy) => {
      const silent = ["laughs", "deep", "deeper", "objects", "huge"].filter(
        (name) => !deploy?.errors.some(({ path }) => path.endsWith(`/${name}.dag.yaml`)),
      );
      return silent.length === 0 ? undefined : `no error for ${silent.join()}`;
    },
  },
  {
    name: "airlock.yaml that widens the limits",
    make: (folder) =>
      filesOf(folder, {
        "airlock.yaml":
          "limits: { memory: 900GiB, processes: 100000, parse_seconds: 99999, file_size: 1TiB }\n",
        "dags/eats.py": good("eats").replace(
          'return "eats"',
          'return len(b"".join(bytes([n]) * 10_000_000 for n in range(100)))',
        ),
      }),
    check: async ({ house }, deploy) => {
      if (deploy?.state === "failed") return undefined;
      const ran = await runDag(house, "raider", "eats", `siege-${Date.now()}`);
      return ran === "success" ? "a task took 2 GB" : undefined;
    },
  },
  {
    name: "airlock.yaml that leads elsewhere",
    make: (folder) =>
      filesOf(folder, { "airlock.yaml": "dags: ../../victim/code\nenvironment: /etc/passwd\n" }),
  },
  ...[
    ["-r ../../../../etc/passwd\n", "requirements of a host file"],
    ["--index-url http://127.0.0.1:9/\nx\n", "requirements of another index"],
    ["x @ file:///etc/passwd\n", "requirements of a path"],
    ["-e git+https://127.0.0.1:9/x\n", "requirements of a repository"],
    ["x; __import__('os').system('id')\n", "requirements with code in a marker"],
  ].map(
    ([text = "", name = ""]): Attack => ({
      name,
      make: (folder) => filesOf(folder, { "requirements.txt": text }),
      check: isRefused,
    }),
  ),
  {
    name: "a message and an author for the terminal",
    make: (folder) => {
      const object = `tree ${tree(folder, {})}\nauthor \u001b]0;owned\u0007<img src=x onerror=alert(1)> <a@b> 99999999999999999 +9999\ncommitter x <x> 0 +0000\n\n${"\u001b[2Jm".repeat(200_000)}\n`;
      return git(folder, ["hash-object", "-t", "commit", "-w", "--stdin", "--literally"], object);
    },
  },
];

async function isRefused(
  _: Here,
  deploy: Deploy | undefined,
  said: string,
): Promise<string | undefined> {
  return deploy?.state === "live" && deploy.errors.length === 0
    ? `went live: ${said.slice(0, 200)}`
    : undefined;
}

async function neighbourIsItself({ house, bundles }: Here): Promise<string | undefined> {
  if (bundlesOf(house, "victim") !== bundles) return "the neighbour's bundles changed";
  const detail = await asAdmin(house, "GET", "/t/victim/api/v2/dags/calm/details");
  return detail.status === 200 && detail.text.includes('"calm"')
    ? undefined
    : `the neighbour's DAG: ${detail.status}`;
}

/** Paths alone: what is in a bundle never changes under a name. */
const bundlesOf = (house: House, tenant: string): string =>
  readdirSync(join(house.home, "bundles", tenant), { recursive: true, encoding: "utf8" })
    .toSorted()
    .join("\n");

// ---- sending them

type Pushed = { readonly code: number; readonly said: string };

async function push(
  { house, folder }: Here,
  commit: string,
  ref = "refs/heads/main",
): Promise<Pushed> {
  const to = `http://admin:${house.password}@${new URL(house.url).host}/git/raider/code.git`;
  const ran = await run("git", ["-C", folder, "push", "--force", to, `${commit}:${ref}`], {
    env: { ...process.env, GIT_TERMINAL_PROMPT: "0", GIT_CONFIG_GLOBAL: "/dev/null" },
    timeoutMs: 120_000,
  });
  return { code: ran.code, said: ran.stderr + ran.stdout };
}

async function attackWith(here: Here, attack: Attack): Promise<void> {
  const { campaign, house, folder } = here;
  const commit = attack.make(folder);
  const pushed = await push(here, commit);
  let deploy: Deploy | undefined;
  if (pushed.code === 0)
    deploy = await eventually(async () => {
      const found = (await deploysOf(house, "raider")).find((one) => one.commit === commit);
      return found && found.state !== "syncing" ? found : undefined;
    }, 90_000).catch(() => undefined);
  campaign.probe(
    `${attack.name}: comes to an end`,
    pushed.code === 0 && deploy === undefined
      ? `no deploy of it: ${pushed.said.slice(-300)}`
      : undefined,
  );
  const alive = await asAdmin(house, "GET", "/t/raider/api/v2/dags/good");
  campaign.probe(
    `${attack.name}: the last good version stays`,
    alive.status === 200 ? undefined : `${alive.status} ${pushed.said.slice(-300)}`,
  );
  const told = `${pushed.said}${JSON.stringify(deploy ?? {})}`;
  const shown = /root:[x*]?:0:0|PATH=\/|BEGIN [A-Z ]*PRIVATE KEY/.exec(told);
  campaign.probe(
    `${attack.name}: shows nothing of the host`,
    shown === null ? undefined : told.slice(shown.index, shown.index + 100),
  );
  campaign.probe(
    `${attack.name}: steers no terminal`,
    // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
    /\u001b\](?!\d+;\d)|\u001b\[2J/.test(pushed.said)
      ? JSON.stringify(pushed.said.slice(0, 200))
      : undefined,
  );
  const outside = strays(house);
  campaign.probe(
    `${attack.name}: writes nowhere else`,
    outside.length === 0 ? undefined : outside.join(),
  );
  const ready = await asAdmin(house, "GET", "/readyz");
  campaign.probe(
    `${attack.name}: the house is ready`,
    ready.status === 200 ? undefined : ready.text,
  );
  if (attack.check)
    campaign.probe(
      `${attack.name}: comes to what it must`,
      await attack.check(here, deploy, pushed.said),
    );
}

/** Files that an attack leaves where it got out: at the usual ends of a traversal, and links or .git in what was checked out. */
function strays(house: House): readonly string[] {
  const ends = [
    tmpdir(),
    "/",
    house.home,
    join(house.home, "bundles"),
    join(house.home, "bundles", "raider"),
    join(house.home, "repositories"),
    join(house.home, "bundles", "victim"),
  ];
  const found = ends
    .flatMap((folder) => [pwned, `${pwned}.py`].map((name) => join(folder, name)))
    .filter((path) => existsSync(path));
  const bundles = join(house.home, "bundles", "raider");
  if (!existsSync(bundles)) return found;
  for (const entry of readdirSync(bundles, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isSymbolicLink() || /^(?:\.git|git~1)$/i.test(entry.name)) found.push(path);
  }
  return found;
}

/** Or their absence would mean nothing. */
function checkThatStraysAreSeen({ campaign, house }: Here): void {
  const path = join(tmpdir(), pwned);
  campaign.probe(
    "nothing strays before the attacks",
    strays(house).length === 0 ? undefined : strays(house).join(),
  );
  writeFileSync(path, "");
  campaign.probe("a stray file is seen", strays(house).includes(path) ? undefined : "it was not");
  rmSync(path);
}

/** Packs whose bytes are spoilt, past git's own client. */
async function spoilPacks({ campaign, house, folder }: Here): Promise<void> {
  campaign.tell("repositories: spoilt packs");
  const commit = filesOf(folder, { "dags/more.py": good("more") }, "more");
  const pack = packOf(folder, commit);
  const line = `${"0".repeat(40)} ${commit} refs/heads/spoilt\0 report-status side-band-64k agent=siege`;
  const head = Buffer.from(`${(line.length + 4).toString(16).padStart(4, "0")}${line}0000`);
  for (let at = 0; at < 40; at++) {
    const dice = diceOf(campaign.seed, 2_000_000 + at);
    const body = dice.chance(0.5)
      ? Buffer.concat([mutateBytes(dice, head), pack])
      : Buffer.concat([head, mutateBytes(dice, pack)]);
    const answer = await fetch(`${house.url}/git/raider/code.git/git-receive-pack`, {
      method: "POST",
      headers: {
        authorization: `Basic ${btoa(`admin:${house.password}`)}`,
        "content-type": "application/x-git-receive-pack-request",
      },
      body,
      signal: AbortSignal.timeout(30_000),
    }).then(
      async (response) => ({ status: response.status, text: await response.text() }),
      (error: unknown) => ({ status: 599, text: String(error) }),
    );
    campaign.probe(
      "a spoilt pack",
      answer.status >= 500 && answer.status !== 502
        ? `${answer.status} ${answer.text.slice(0, 200)} (seed ${campaign.seed}, case ${at})`
        : undefined,
    );
  }
  const clone = await run("git", [
    "ls-remote",
    `http://admin:${house.password}@${new URL(house.url).host}/git/raider/code.git`,
  ]);
  campaign.probe(
    "the repository is whole after spoilt packs",
    clone.code === 0 ? undefined : clone.stderr,
  );
}

function packOf(folder: string, commit: string): Buffer {
  return execFileSync("git", ["-C", folder, "pack-objects", "--stdout", "--revs", "-q"], {
    input: `${commit}\n`,
    maxBuffer: 1 << 26,
  });
}

/** Names of refs, and repositories that are not one's own. */
async function pushElsewhere(here: Here): Promise<void> {
  const { campaign, house, folder } = here;
  campaign.tell("repositories: refs, and the neighbour's repository");
  const commit = filesOf(folder, {}, "refs");
  for (const ref of [
    "refs/airlock/head",
    "refs/airlock/commit/x",
    "HEAD",
    "refs/heads/--upload-pack=x",
    "refs/heads/a.lock",
    "refs/../x",
    "refs/heads/a..b",
    "refs/replace/x",
    "refs/notes/x",
  ]) {
    const pushed = await push(here, commit, ref);
    const mustFail = ref.startsWith("refs/airlock") || ref.includes("..") || ref.endsWith(".lock");
    campaign.probe(`a push to ${ref}`, mustFail && pushed.code === 0 ? "was taken" : undefined);
  }
  const password = "a long enough password";
  await mustDo(house, "POST", "/api/platform/users", { name: "rae", password });
  await mustDo(house, "POST", "/api/platform/tenants/raider/roles", {
    subject: "user:rae",
    role: "admin",
  });
  for (const repository of [
    "victim/code",
    "victim/absent",
    "nowhere/code",
    "raider/..%2fvictim%2fcode",
    "raider/../victim/code",
  ]) {
    const ran = await run(
      "git",
      [
        "-C",
        folder,
        "push",
        `http://rae:${encodeURIComponent(password)}@${new URL(house.url).host}/git/${repository}.git`,
        `${commit}:refs/heads/main`,
      ],
      {
        env: { ...process.env, GIT_TERMINAL_PROMPT: "0" },
      },
    );
    campaign.probe(
      `another tenant's admin pushes to ${repository}`,
      ran.code === 0 ? "was taken" : undefined,
    );
    const read = await run(
      "git",
      [
        "ls-remote",
        `http://rae:${encodeURIComponent(password)}@${new URL(house.url).host}/git/${repository}.git`,
      ],
      { env: { ...process.env, GIT_TERMINAL_PROMPT: "0" } },
    );
    campaign.probe(
      `another tenant's admin reads ${repository}`,
      read.code === 0 ? `read ${read.stdout.slice(0, 100)}` : undefined,
    );
  }
  const own = await run("git", [
    "ls-remote",
    `http://rae:${encodeURIComponent(password)}@${new URL(house.url).host}/git/raider/code.git`,
  ]);
  campaign.probe("their own repository is theirs to read", own.code === 0 ? undefined : own.stderr);
  campaign.probe("the neighbour after it", await neighbourIsItself(here));
}

/** Addresses that are commands, files or this very machine: refused by name, or when it shows where the name leads. */
async function nameAddresses({ campaign, house }: Here): Promise<void> {
  campaign.tell("repositories: addresses");
  let reached = 0;
  const listener = createServer((socket) => {
    reached += 1;
    socket.destroy();
  });
  await new Promise<void>((done) => listener.listen(0, "::", done));
  const { port } = listener.address() as AddressInfo;
  const refusedByName = [
    "ext::sh -c id",
    "-uX",
    "--upload-pack=id",
    "file:///etc",
    "file:///%E0%A4%A",
    "/etc",
    "http://169.254.169.254/x.git",
    `http://127.0.0.1:${port}/x.git`,
    "https://a@b@c/x",
    "https://user:pass@host/x.git",
    "ssh://-oProxyCommand=id/x",
    "javascript:alert(1)",
    "https://host/x\n.git",
  ];
  const leadingHere = [
    "127.0.0.1",
    "localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "2130706433",
    "0x7f.1",
    "0.0.0.0",
  ].map((host) => `https://${host}:${port}/x.git`);
  for (const [at, url] of [...refusedByName, ...leadingHere].entries()) {
    const name = `far${at}`;
    const made = await asAdmin(house, "POST", "/api/platform/tenants/raider/repositories", {
      name,
      url,
    });
    const tolerated = leadingHere.includes(url) && made.status < 300;
    campaign.probe(
      `the address ${url}`,
      tolerated || (made.status >= 400 && made.status < 500)
        ? undefined
        : `${made.status} ${made.text}`,
    );
    if (!tolerated) continue;
    const failed = await eventually(async () => {
      const listed = await mustDo(
        house,
        "GET",
        `/api/platform/tenants/raider/repositories/${name}/deploys`,
      );
      const [last] = (listed as { deploys: readonly Deploy[] }).deploys;
      return last?.state === "failed" ? last : undefined;
    }, 30_000).catch((error: unknown) => String(error));
    campaign.probe(`what ${url} leads to`, typeof failed === "string" ? failed : undefined);
  }
  campaign.probe(
    "nothing on this machine was reached by a repository's address",
    reached === 0 ? undefined : `${reached} connections`,
  );
  // The listener hears, or its silence would mean nothing.
  await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
  campaign.probe("the listener hears", reached === 1 ? undefined : `${reached} connections`);
  listener.close();
  campaign.probe(
    "no command of an address ran",
    existsSync(join(tmpdir(), pwned)) ? "it did" : undefined,
  );
}
