/** Interpreters that a tenant's uid can run. One in root's home or a version manager's is passed over, with a message. */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { type Answer, bad, good } from "../../platform/model/answer.ts";
import { stoppedAt } from "./reach.ts";

export type Python = {
  readonly path: string;
  /** For example `3.11.2`. */
  readonly version: string;
  /** Whether `python3 -m venv` works: Debian packs its matter (ensurepip) apart. */
  readonly venv: boolean;
};

export type NoPython = {
  readonly message: string;
  readonly hint: string;
};

/** The newest Python from 3.10 on that `uid` can run, and what was passed over on the way. */
export function findPython(
  uid: number,
  path = process.env["PATH"] ?? "",
): Answer<{ readonly python: Python; readonly passedOver: readonly string[] }, NoPython> {
  const passedOver: string[] = [];
  let withoutVenv: Python | undefined;
  for (const candidate of candidates(path)) {
    if (!existsSync(candidate)) continue;
    const stop = stoppedAt(candidate, uid, "run");
    if (stop !== undefined) {
      passedOver.push(`${candidate} is passed over: tenants' uids cannot enter ${stop}`);
      continue;
    }
    const python = ask(candidate);
    if (python === undefined) {
      passedOver.push(`${candidate} is passed over: it does not answer as Python 3.10 or newer`);
      continue;
    }
    if (python.venv) return good({ python, passedOver });
    withoutVenv ??= python;
  }
  if (withoutVenv !== undefined) return good({ python: withoutVenv, passedOver });
  return bad({
    message: ["No usable Python 3.10 or newer was found.", ...passedOver].join(" "),
    hint: "Install Debian's python3 and python3-venv (apt-get install python3 python3-venv).",
  });
}

const candidates = (path: string): readonly string[] => [
  ...new Set([
    "/usr/bin/python3",
    "/usr/local/bin/python3",
    ...path
      .split(":")
      .filter((folder) => folder.startsWith("/"))
      .map((folder) => join(folder, "python3")),
    ...[14, 13, 12, 11, 10].map((minor) => `/usr/bin/python3.${String(minor)}`),
  ]),
];

function ask(python: string): Python | undefined {
  const script = `
import sys
try:
    import ensurepip, venv
    able = 1
except ImportError:
    able = 0
print(sys.executable, "%d.%d.%d" % sys.version_info[:3], able, sep="\\n")`;
  const { stdout, status } = spawnSync(python, ["-I", "-c", script], {
    env: {},
    encoding: "utf8",
    timeout: 10_000,
  });
  const [path, version, able] = stdout.split("\n");
  if (status !== 0 || path === undefined || version === undefined) return undefined;
  const [major, minor] = version.split(".").map(Number);
  if (major !== 3 || minor === undefined || minor < 10) return undefined;
  return { path, version, venv: able === "1" };
}

/** This Node, or a copy of it where tenants' uids can reach it (npm's `node` package under root's home cannot be). */
export function provideNode(folder: string, uid: number): string {
  if (stoppedAt(process.execPath, uid, "run") === undefined) return process.execPath;
  const home = join(folder, `node-${process.version}-${process.arch}`);
  const copy = join(home, "node");
  if (!existsSync(copy)) {
    mkdirSync(home, { recursive: true, mode: 0o755 });
    const half = `${copy}.${String(process.pid)}`;
    copyFileSync(process.execPath, half);
    chmodSync(half, 0o755);
    renameSync(half, copy);
  }
  return copy;
}
