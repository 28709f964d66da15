import {
  chmodSync,
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
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findRepository, findWorkTree } from "./find-repository.ts";
import { takeSnapshot } from "./take-snapshot.ts";

let folder: string;
let root: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "snapshot-"));
  root = join(folder, "repository");
  mkdirSync(root);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const put = (path: string, text = "x"): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};

test("a snapshot holds what a push would, readable for others, and does not change any more", async () => {
  put("dags/a.py", "one");
  put("dags/run.sh");
  put(".git/config");
  put("node_modules/x/index.js");
  put(".venv/bin/python");
  chmodSync(join(root, "dags", "a.py"), 0o600);
  chmodSync(join(root, "dags", "run.sh"), 0o700);
  const taken = takeSnapshot(root, join(folder, "bundles"));
  if (!taken.ok) throw new Error(taken.problem.message);
  const { dir, files, remove } = taken.value;
  expect(files.map(({ path }) => path)).toEqual(["dags/a.py", "dags/run.sh"]);
  put("dags/a.py", "two");
  expect((await taken.value.read("dags/a.py")).toString()).toBe("one");
  expect(statSync(join(dir, "dags", "a.py")).mode & 0o777).toBe(0o644);
  expect(statSync(join(dir, "dags", "run.sh")).mode & 0o777).toBe(0o755);
  expect(statSync(dir).mode & 0o777).toBe(0o755);
  remove();
  expect(readdirSync(join(folder, "bundles"))).toEqual([]);
});

test("copies of killed processes are swept, those of living ones are not", () => {
  put("dags/a.py");
  const bundles = join(folder, "bundles");
  // No process has this id: it is above the kernel's maximum.
  mkdirSync(join(bundles, "bundle-4194999-dead", "dags"), { recursive: true });
  mkdirSync(join(bundles, "bundle-1-init"));
  const taken = takeSnapshot(root, bundles);
  expect(taken.ok).toBe(true);
  const names = readdirSync(bundles);
  expect(names).not.toContain("bundle-4194999-dead");
  expect(names).toContain("bundle-1-init");
});

test("a symbolic link to a file of the host is not followed, and that is said", () => {
  put("dags/a.py");
  symlinkSync("/etc/passwd", join(root, "dags", "passwd.py"));
  symlinkSync("/etc", join(root, "dags", "etc"));
  const taken = takeSnapshot(root, join(folder, "bundles"));
  if (!taken.ok) throw new Error(taken.problem.message);
  expect(taken.value.files.map(({ path }) => path)).toEqual(["dags/a.py"]);
  expect(taken.value.warnings.map(({ path }) => path)).toEqual(["dags/etc", "dags/passwd.py"]);
  expect(readdirSync(join(taken.value.dir, "dags"))).toEqual(["a.py"]);
});

test("a folder that is no repository is refused before it is copied, naming what is large in it", () => {
  for (let at = 0; at < 25; at++) put(`data/part-${at}.bin`, "x".repeat(9 * 1024 * 1024));
  put("dags/a.py");
  const taken = takeSnapshot(root, join(folder, "bundles"));
  expect(taken).toMatchObject({
    ok: false,
    problem: { message: expect.stringContaining("most of it in data") as string },
  });
});

test("the repository is the nearest folder that looks like one", () => {
  put("team/dags/sub/a.py");
  put(".git/HEAD");
  expect(findRepository(join(root, "team", "dags", "sub", "a.py"))).toBe(join(root, "team"));
  expect(findRepository(join(root, "team", "dags"))).toBe(join(root, "team"));
  expect(findRepository(root)).toBe(root);
  expect(findWorkTree(join(root, "team"))).toBe(root);
  expect(findRepository(join(root, "nothing"))).toBeUndefined();
  writeFileSync(join(folder, "alone.py"), "");
  expect(readFileSync(join(folder, "alone.py"), "utf8")).toBe("");
  expect(findRepository(join(folder, "alone.py"))).toBe(folder);
});
