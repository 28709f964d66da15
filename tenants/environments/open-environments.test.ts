import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { known } from "../../platform/model/ids.ts";
import { openSandbox, type Sandbox } from "../sandbox/open-sandbox.ts";
import { openEnvironments } from "./open-environments.ts";

const root = process.getuid?.() === 0;
const uid = root ? 43_000 + (process.pid % 10_000) : (process.getuid?.() ?? 0);
let sandbox: Sandbox;
let folder: string;
let stateDir: string;
let links: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "environments-"));
  chmodSync(folder, 0o755);
  stateDir = join(folder, "state");
  links = join(folder, "links");
  mkdirSync(links);
  mkdirSync(stateDir);
  sandbox = await openSandbox({ stateDir });
});
afterAll(async () => {
  await sandbox.close();
  rmSync(folder, { recursive: true, force: true });
});

let bundles = 0;
function bundle(files: { readonly [path: string]: string }): string {
  const dir = join(folder, `bundle-${String(++bundles)}`);
  mkdirSync(dir);
  for (const [path, text] of Object.entries(files)) writeFileSync(join(dir, path), text);
  return dir;
}

/** A source package whose own build code runs: no other package is needed for it. */
function plant(name: string, build: string): void {
  const dir = join(folder, `${name}-1.0`);
  mkdirSync(dir);
  writeFileSync(
    join(dir, "pyproject.toml"),
    '[build-system]\nrequires = []\nbuild-backend = "evil"\nbackend-path = ["."]\n',
  );
  writeFileSync(join(dir, "PKG-INFO"), `Metadata-Version: 2.1\nName: ${name}\nVersion: 1.0\n`);
  writeFileSync(
    join(dir, "evil.py"),
    `import os, sys, time\ndef build_wheel(where, *_):\n${build.replace(/^/gm, "    ")}\n    raise RuntimeError("nothing was built")\n`,
  );
  execFileSync("tar", ["-czf", join(links, `${name}-1.0.tar.gz`), "-C", folder, `${name}-1.0`]);
}

const open = (limits: Parameters<typeof openEnvironments>[0]["limits"] = {}) =>
  openEnvironments({
    sandbox,
    folder: join(stateDir, "environments"),
    limits,
    machine: {
      ...process.env,
      PIP_FIND_LINKS: [process.env["PIP_FIND_LINKS"], links].filter(Boolean).join(" "),
    },
  });

const request = (bundleDir: string, onProgress?: (line: string) => void) => ({
  tenant: known.tenant("acme"),
  uid,
  bundleDir,
  ...(onProgress === undefined ? {} : { onProgress }),
});

const version = (interpreter: string, name: string): string =>
  execFileSync(
    interpreter,
    ["-I", "-c", `import importlib.metadata as m; print(m.version("${name}"))`],
    { encoding: "utf8" },
  ).trim();

describe("environments of a real index", () => {
  test("of two tenants with conflicting versions stand side by side, each built once, and nobody can write to them", async () => {
    const environments = open();
    const lines: string[] = [];
    const old = bundle({ "requirements.txt": "six==1.15.0\n" });
    const [one, again, two] = await Promise.all([
      environments.ensure(request(old, (line) => lines.push(line))),
      environments.ensure(request(old)),
      environments.ensure(request(bundle({ "requirements.txt": "six==1.16.0\n" }))),
    ]);
    if (!one.ok || !again.ok || !two.ok) throw new Error(JSON.stringify([one, again, two]));
    expect(again.value).toEqual(one.value);
    expect(version(one.value.interpreter, "six")).toBe("1.15.0");
    expect(version(two.value.interpreter, "six")).toBe("1.16.0");
    expect(lines.join("\n")).toContain("Collecting six==1.15.0");
    expect(lines.filter((line) => line.startsWith("Successfully installed"))).toHaveLength(1);
    const files = readdirSync(one.value.dir as string, { recursive: true, encoding: "utf8" });
    for (const path of files) {
      const full = join(one.value.dir as string, path);
      if (!existsSync(full)) continue;
      const { mode, uid: owner } = statSync(full);
      expect(mode & 0o022).toBe(0);
      if (root) expect(owner).toBe(0);
    }
    // Python compiles what it imports beside it: here nobody could, so the install did.
    expect(files.some((path) => path.endsWith(".pyc"))).toBe(true);
    expect(
      readdirSync(join(stateDir, "environments")).some((name) => name.includes("building")),
    ).toBe(false);
    const before = performance.now();
    expect(await environments.ensure(request(old))).toEqual(one);
    expect(performance.now() - before).toBeLessThan(100);
  }, 120_000);

  test("that cannot be had name the requirement, its line, and the way out", async () => {
    const answer = await open().ensure(request(bundle({ "requirements.txt": "# x\nsix==99.9\n" })));
    expect(answer).toMatchObject({
      ok: false,
      problem: {
        path: "requirements.txt",
        line: 2,
        message: expect.stringContaining("six==99.9") as string,
      },
    });
  }, 60_000);
});

describe("what misbehaves at install", () => {
  test("a build that hangs is ended, and named", async () => {
    plant("hangs", "while True: time.sleep(1)");
    const answer = await open({ seconds: 6 }).ensure(
      request(bundle({ "requirements.txt": "hangs==1.0\n" })),
    );
    expect(answer).toMatchObject({
      ok: false,
      problem: {
        line: 1,
        message: expect.stringMatching(/did not end within 6 s.*hangs/) as string,
      },
    });
  }, 60_000);

  test("a build that fills the disk is ended", async () => {
    plant(
      "fills",
      "for i in range(10**6):\n    open(os.path.join(where, str(i)), 'wb').write(b'x' * (1 << 20))\n    time.sleep(0.01)",
    );
    const answer = await open({ diskBytes: 64 << 20, seconds: 60 }).ensure(
      request(bundle({ "requirements.txt": "fills==1.0\n" })),
    );
    expect(answer).toMatchObject({
      ok: false,
      problem: { message: expect.stringContaining("more disk") as string },
    });
  }, 90_000);

  test("a build that forks and looks around finds an empty house, and nothing of it is left", async () => {
    plant(
      "looks",
      `
import socket
for path in ("/etc/shadow", "/root", ${JSON.stringify(stateDir)}):
    try: print("SAW", path, os.listdir(path) if os.path.isdir(path) else open(path).read(1))
    except OSError: pass
try: socket.create_connection(("127.0.0.1", 22), 1); print("REACHED")
except OSError: pass
n = 0
try:
    while n < 2000:
        if os.fork() == 0:
            time.sleep(100)
            os._exit(0)
        n += 1
except OSError: print("STOPPED", flush=True)
sys.exit(3)`,
    );
    const lines: string[] = [];
    const answer = await open({ processes: 64, seconds: 15 }).ensure(
      request(bundle({ "requirements.txt": "looks==1.0\n" }), (line) => lines.push(line)),
    );
    expect(answer).toMatchObject({ ok: false });
    if (!answer.ok) expect(answer.problem.message).toMatch(/64 processes|looks/);
    const words = lines.join("\n");
    expect(words).not.toContain("REACHED");
    expect(words).not.toMatch(/SAW \/(?:etc|root)/);
    const left = readdirSync("/proc").filter((pid) => {
      try {
        return (
          /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("looks-1.0")
        );
      } catch {
        return false;
      }
    });
    expect(left).toEqual([]);
    expect(
      readdirSync(join(stateDir, "environments")).some((name) => name.includes("building")),
    ).toBe(false);
  }, 90_000);
});

test("a repository's own words are read with bounds: links, size, lines", async () => {
  const environments = open();
  const linked = bundle({});
  symlinkSync("/etc/passwd", join(linked, "requirements.txt"));
  const withoutIndex = openEnvironments({
    sandbox,
    folder: join(folder, "other"),
    machine: { PIP_INDEX_URL: "http://127.0.0.1:9/simple" },
  });
  // A link is not followed: the default environment is asked for, and its index is not there.
  expect(await withoutIndex.ensure(request(linked))).toMatchObject({
    ok: false,
    problem: { message: expect.stringContaining("127.0.0.1) could not be reached") as string },
  });
  expect(
    await environments.ensure(request(bundle({ "requirements.txt": "a\n".repeat(200_000) }))),
  ).toMatchObject({
    ok: false,
    problem: { message: expect.stringContaining("256 KiB") as string },
  });
  expect(
    await environments.ensure(request(bundle({ "requirements.txt": "six\n-e .\n" }))),
  ).toMatchObject({ ok: false, problem: { line: 2 } });
}, 60_000);

test("dependencies of a pyproject.toml are read as well", async () => {
  const dir = bundle({
    "pyproject.toml": '[project]\nname = "x"\nversion = "1"\ndependencies = ["six==99.8"]\n',
  });
  expect(await open().ensure(request(dir))).toMatchObject({
    ok: false,
    problem: { path: "pyproject.toml", message: expect.stringContaining("six==99.8") as string },
  });
}, 60_000);
