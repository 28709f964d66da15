/** What is missing on this machine, and how to get it. It changes nothing and needs no server. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { findPython } from "../../../tenants/sandbox/interpreters.ts";
import {
  NoSandboxError,
  openSandbox,
  userNamespacesMax,
} from "../../../tenants/sandbox/open-sandbox.ts";
import { localUid } from "../../local/open-workshop.ts";
import { findHome, readServerInfo } from "../home.ts";
import { inkFor } from "../ink.ts";
import { type Format, printAnswer, write } from "../print-answer.ts";

type Finding = {
  readonly name: string;
  /** `warning`: it works, with less. */
  readonly state: "ok" | "warning" | "missing";
  readonly found: string;
  readonly hint?: string;
};

/** Answers whether everything that is needed is there. */
export async function doctor(format: Format): Promise<boolean> {
  const home = findHome();
  const findings = [
    lookAtNode(),
    lookAtGit(),
    lookAtPython(),
    ...(await lookAtSandbox()),
    lookAtDisk(home),
    await lookAtPort(home),
  ];
  const ok = findings.every(({ state }) => state !== "missing");
  if (format !== "table")
    await printAnswer(
      { ok, home, checks: findings.map((one) => ({ ...one, hint: one.hint ?? null })) },
      format,
      [],
    );
  else await write(draw(findings));
  return ok;
}

function draw(findings: readonly Finding[]): string {
  const ink = inkFor(process.stdout);
  const mark = { ok: ink.green("✓"), warning: ink.yellow("!"), missing: ink.red("✗") };
  const wide = Math.max(...findings.map(({ name }) => name.length));
  return findings
    .map(
      ({ name, state, found, hint }) =>
        `${mark[state]} ${name.padEnd(wide)}  ${found}\n${hint === undefined ? "" : `  ${" ".repeat(wide)}  → ${hint}\n`}`,
    )
    .join("");
}

const lookAtNode = (): Finding => ({
  name: "node",
  state: "ok",
  found: `${process.version} (${process.execPath})`,
});

function lookAtGit(): Finding {
  const { stdout, status } = spawnSync("git", ["--version"], { encoding: "utf8", timeout: 5_000 });
  const version = /(\d+)\.(\d+)\.?(\d*)/.exec(stdout);
  const hint = "install Debian's git (apt-get install git)";
  if (status !== 0 || !version) return { name: "git", state: "missing", found: "not found", hint };
  const [, major, minor] = version.map(Number);
  return (major ?? 0) > 2 || ((major ?? 0) === 2 && (minor ?? 0) >= 34)
    ? { name: "git", state: "ok", found: version[0] }
    : { name: "git", state: "warning", found: `${version[0]} is older than 2.34`, hint };
}

function lookAtPython(): Finding {
  const uid = process.getuid?.() === 0 ? localUid : (process.getuid?.() ?? 0);
  const found = findPython(uid);
  if (!found.ok)
    return {
      name: "python",
      state: "missing",
      found: found.problem.message,
      hint: found.problem.hint,
    };
  const { python, passedOver } = found.value;
  const text = [`${python.version} (${python.path})`, ...passedOver].join("; ");
  return python.venv
    ? { name: "python", state: "ok", found: text }
    : {
        name: "python",
        state: "missing",
        found: `${text}, without venv`,
        hint: "install Debian's python3-venv (apt-get install python3-venv)",
      };
}

async function lookAtSandbox(): Promise<Finding[]> {
  const want = process.env["AIRLOCK_SANDBOX"];
  const scratch = mkdtempSync(join(tmpdir(), "airlock-doctor-"));
  try {
    const sandbox = await openSandbox({
      want: want === "linux" || want === "plain" ? want : "auto",
      stateDir: scratch,
    });
    try {
      const fences = Object.entries(sandbox.enforces)
        .filter(([, enforced]) => enforced)
        .map(([fence]) => fence);
      return [
        {
          name: "sandbox",
          state: sandbox.driver === "bubblewrap" ? "ok" : "warning",
          found: `${sandbox.driver}; enforces ${fences.length === 0 ? "nothing" : fences.join(", ")}`,
          ...(sandbox.driver === "bubblewrap"
            ? {}
            : { hint: "install Debian's bubblewrap (apt-get install bubblewrap)" }),
        },
        ...sandbox.warnings.map(
          (warning): Finding => ({ name: "", state: "warning", found: warning }),
        ),
        lookAtCgroups(sandbox.enforces.memory && sandbox.enforces.kill),
      ];
    } finally {
      await sandbox.close();
    }
  } catch (error) {
    if (!(error instanceof NoSandboxError)) throw error;
    return [
      {
        name: "sandbox",
        state: "missing",
        found: `${error.message} (user namespaces allowed: ${userNamespacesMax()})`,
        hint: error.hint,
      },
    ];
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function lookAtCgroups(enforced: boolean): Finding {
  const kind = existsSync("/sys/fs/cgroup/cgroup.controllers")
    ? "v2"
    : existsSync("/sys/fs/cgroup/memory")
      ? "v1"
      : "none";
  return enforced
    ? { name: "cgroups", state: "ok", found: `${kind}, writable` }
    : {
        name: "cgroups",
        state: "warning",
        found: `${kind}, not writable for this user: no limit on a task's memory as a whole`,
        hint: "run as root, or under systemd with Delegate=yes",
      };
}

function lookAtDisk(home: string): Finding {
  let at = home;
  while (!existsSync(at)) at = dirname(at);
  const { bavail, blocks, bsize } = statfsSync(at);
  const free = (bavail / blocks) * 100;
  const found = `${(Number(bavail * bsize) / 2 ** 30).toFixed(1)} GiB free (${free.toFixed(0)} %) for ${home}`;
  try {
    accessSync(at, constants.W_OK);
  } catch {
    return {
      name: "home",
      state: "missing",
      found: `${at} is not writable`,
      hint: "set AIRLOCK_HOME to a folder of yours",
    };
  }
  return free < 5
    ? {
        name: "home",
        state: "missing",
        found,
        hint: "no task starts below 5 %: make room, or set AIRLOCK_HOME",
      }
    : { name: "home", state: "ok", found };
}

async function lookAtPort(home: string): Promise<Finding> {
  const running = readServerInfo(home);
  if (running !== undefined && existsSync(`/proc/${running.pid}`))
    return {
      name: "server",
      state: "ok",
      found: `runs here at ${running.url} (process ${running.pid})`,
    };
  const port = Number(process.env["AIRLOCK_PORT"] ?? 8080);
  const host = process.env["AIRLOCK_HOST"] ?? "127.0.0.1";
  const free = await new Promise<boolean>((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
  return free
    ? { name: "port", state: "ok", found: `${host}:${port} is free` }
    : {
        name: "port",
        state: "warning",
        found: `${host}:${port} is taken by another program`,
        hint: "set AIRLOCK_PORT to another one (0: any)",
      };
}
