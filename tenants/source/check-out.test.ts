import {
  chmodSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, expect, test } from "vitest";
import { known } from "../../platform/model/ids.ts";
import {
  commit,
  craftBomb,
  craftCommit,
  craftRawTree,
  git,
  newRepository,
  temporaryFolder,
} from "../../test/kit/git.ts";
import { type Bundle, type CheckoutRequest, checkOut, removeTree } from "./check-out.ts";
import { collectBundles } from "./collect-bundles.ts";

const containing = (text: string): unknown => expect.stringContaining(text);

const place = temporaryFolder();
const author = join(place, "author");
const bundlesDir = join(place, "bundles");
const bounds = {
  files: 20_000,
  fileBytes: 10 * 2 ** 20,
  totalBytes: 200 * 2 ** 20,
  pathCharacters: 400,
  depth: 20,
};

beforeEach(async () => {
  rmSync(author, { recursive: true, force: true });
  if (existsSync(bundlesDir)) await removeTree(bundlesDir);
  newRepository(author, { "dags/a.py": "a", "README.md": "r" });
});
afterAll(async () => {
  await removeTree(place);
});

const checkOutOf = (id: string, rest: Partial<CheckoutRequest> = {}): ReturnType<typeof checkOut> =>
  checkOut({
    repository: join(author, ".git"),
    commit: known.commit(id),
    path: "",
    bundlesDir,
    bounds,
    ...rest,
  });

async function bundleOf(id: string, rest: Partial<CheckoutRequest> = {}): Promise<Bundle> {
  const bundle = await checkOutOf(id, rest);
  if (!bundle.ok) throw new Error(bundle.problem.message);
  return bundle.value;
}
const everything = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, encoding: "utf8" }).toSorted();

test("a commit becomes a folder without .git that nobody can write to", async () => {
  const id = commit(author, { "bin/run.sh": "#!/bin/sh\n" });
  git(author, ["update-index", "--chmod=+x", "bin/run.sh"]);
  git(author, ["commit", "-qm", "executable"]);
  const head = git(author, ["rev-parse", "HEAD"]);
  const bundle = await bundleOf(head);
  expect(id).not.toBe(head);
  expect(bundle.dir).toBe(join(bundlesDir, head));
  expect(everything(bundle.dir)).toEqual(["README.md", "bin", "bin/run.sh", "dags", "dags/a.py"]);
  expect(statSync(bundle.dir).mode & 0o777).toBe(0o555);
  expect(statSync(join(bundle.dir, "dags/a.py")).mode & 0o777).toBe(0o444);
  expect(statSync(join(bundle.dir, "bin/run.sh")).mode & 0o777).toBe(0o555);
  expect(bundle.files.find(({ path }) => path === "dags/a.py")?.blob).toBe(
    git(author, ["rev-parse", "HEAD:dags/a.py"]),
  );
});

test("a subdirectory of a mono-repo is a repository of its own", async () => {
  const id = commit(author, { "teams/acme/dags/x.py": "x" });
  expect(everything((await bundleOf(id, { path: "teams/acme" })).dir)).toEqual([
    "dags",
    "dags/x.py",
  ]);
  expect(await checkOutOf(id, { path: "teams/none" })).toMatchObject({
    ok: false,
    problem: { kind: "no_such_path" },
  });
  expect(await checkOutOf(id, { path: "README.md" })).toMatchObject({ ok: false });
});

const inode = (dir: string, path: string): number => statSync(join(dir, path)).ino;

test("an unchanged file is the same file on disk, a changed one is not", async () => {
  const first = await bundleOf(git(author, ["rev-parse", "HEAD"]));
  const second = await bundleOf(commit(author, { "dags/a.py": "changed" }), { previous: first });
  expect(inode(second.dir, "README.md")).toBe(inode(first.dir, "README.md"));
  expect(inode(second.dir, "dags/a.py")).not.toBe(inode(first.dir, "dags/a.py"));
  expect(readFileSync(join(first.dir, "dags/a.py"), "utf8")).toBe("a");
  expect(readFileSync(join(second.dir, "dags/a.py"), "utf8")).toBe("changed");
});

test("two checkouts of one commit at once both succeed and leave one folder", async () => {
  const id = git(author, ["rev-parse", "HEAD"]);
  const both = await Promise.all([checkOutOf(id), checkOutOf(id)]);
  expect(both.map(({ ok }) => ok)).toEqual([true, true]);
  expect(readdirSync(bundlesDir)).toEqual([id]);
});

test("a checkout that lost a file is made again", async () => {
  const bundle = await bundleOf(git(author, ["rev-parse", "HEAD"]));
  chmodSync(join(bundle.dir, "dags"), 0o755);
  rmSync(join(bundle.dir, "dags/a.py"), { force: true });
  await bundleOf(bundle.commit);
  expect(readFileSync(join(bundle.dir, "dags/a.py"), "utf8")).toBe("a");
});

test("symlinks and submodules are left out and reported", async () => {
  const id = craftCommit(author, [
    { path: "ok.py", content: "1" },
    { mode: "120000", path: "passwd", content: "/etc/passwd" },
    { mode: "160000", path: "sub", object: git(author, ["rev-parse", "HEAD"]) },
  ]);
  const bundle = await bundleOf(id);
  expect(everything(bundle.dir)).toEqual(["ok.py"]);
  expect(bundle.problems.map(({ path, message }) => `${path} ${message}`)).toEqual([
    containing("passwd is a symbolic link"),
    containing("sub is a submodule"),
  ]);
});

test("a folder that is a symlink cannot be written through", async () => {
  const blob = git(author, ["hash-object", "-w", "--stdin"], "pwn");
  const inner = craftRawTree(author, [{ mode: "100644", name: "x.py", object: blob }]);
  const target = git(author, ["hash-object", "-w", "--stdin"], "/tmp");
  const tree = craftRawTree(author, [
    { mode: "120000", name: "a", object: target },
    { mode: "40000", name: "a", object: inner },
  ]);
  const bundle = await bundleOf(git(author, ["commit-tree", tree, "-m", "x"]));
  expect(lstatSync(join(bundle.dir, "a")).isSymbolicLink()).toBe(false);
});

test.each([
  "..",
  ".",
  ".git",
  ".GIT",
  "git~1",
  ".git. ",
  ".g\u200cit",
  "a\\b",
  "a\nb",
  "a\rb",
  "a\u001b[31m",
  "a\u2028b",
  "a".repeat(256),
])("an entry named %j is left out, also where fsck never saw it", async (name) => {
  const blob = git(author, ["hash-object", "-w", "--stdin"], "pwn");
  const tree = craftRawTree(author, [
    { mode: "100644", name, object: blob },
    { mode: "100644", name: "zz.py", object: blob },
  ]);
  const bundle = await bundleOf(git(author, ["commit-tree", tree, "-m", "x"]));
  expect(everything(bundle.dir)).toEqual(["zz.py"]);
  expect(bundle.problems).toHaveLength(1);
  // oxlint-disable-next-line no-control-regex -- a report must not carry them on
  expect(bundle.problems[0]?.path).not.toMatch(/[\u0000-\u001f\u2028]/);
});

test("../../pwn.py as one name is left out", async () => {
  const blob = git(author, ["hash-object", "-w", "--stdin"], "pwn");
  const tree = craftRawTree(author, [{ mode: "100644", name: "../../pwn.py", object: blob }]);
  const bundle = await bundleOf(git(author, ["commit-tree", tree, "-m", "x"]));
  expect(everything(bundle.dir)).toEqual([]);
  expect(existsSync(join(place, "pwn.py"))).toBe(false);
});

test("names that differ only in case, also as folders, are reported and the first stays", async () => {
  const blob = git(author, ["hash-object", "-w", "--stdin"], "x");
  const inner = craftRawTree(author, [{ mode: "100644", name: "a.py", object: blob }]);
  const tree = craftRawTree(author, [
    { mode: "40000", name: "Dags", object: inner },
    { mode: "100644", name: "README", object: blob },
    { mode: "40000", name: "dags", object: inner },
    { mode: "100644", name: "readme", object: blob },
  ]);
  const bundle = await bundleOf(git(author, ["commit-tree", tree, "-m", "x"]));
  expect(everything(bundle.dir)).toEqual(["Dags", "Dags/a.py", "README"]);
  expect(bundle.problems).toHaveLength(2);
});

test("a git bomb of 10^8 paths is refused quickly", async () => {
  const begin = performance.now();
  expect(await checkOutOf(craftBomb(author))).toMatchObject({
    ok: false,
    problem: { kind: "too_many_files" },
  });
  expect(performance.now() - begin).toBeLessThan(10_000);
  expect(existsSync(bundlesDir) ? readdirSync(bundlesDir) : []).toEqual([]);
});

test("100,000 files are refused by number", async () => {
  const blob = git(author, ["hash-object", "-w", "--stdin"], "x");
  const tree = craftRawTree(
    author,
    Array.from({ length: 100_000 }, (_, i) => ({
      mode: "100644",
      name: `f${String(i).padStart(6, "0")}.py`,
      object: blob,
    })),
  );
  expect(await checkOutOf(git(author, ["commit-tree", tree, "-m", "x"]))).toMatchObject({
    ok: false,
    problem: { message: containing("20000 files") },
  });
});

test("a file of 50 MB is left out and named, the rest is there", async () => {
  const bundle = await bundleOf(
    commit(author, { "dags/huge.dag.yaml": Buffer.alloc(50 * 2 ** 20, "a: b\n") }),
  );
  expect(bundle.problems).toEqual([
    {
      path: "dags/huge.dag.yaml",
      message: "has 50 MiB; a file may have 10 MiB",
      hint: containing(""),
    },
  ]);
  expect(existsSync(join(bundle.dir, "dags/a.py"))).toBe(true);
});

test("one blob under many names counts as often as it would be written", async () => {
  const blob = git(author, ["hash-object", "-w", "--stdin"], Buffer.alloc(9 * 2 ** 20));
  const tree = craftRawTree(
    author,
    Array.from({ length: 50 }, (_, i) => ({
      mode: "100644",
      name: `f${String(i).padStart(2, "0")}`,
      object: blob,
    })),
  );
  expect(await checkOutOf(git(author, ["commit-tree", tree, "-m", "x"]))).toMatchObject({
    ok: false,
    problem: { kind: "too_large" },
  });
});

test(".gitattributes and .gitmodules are files like others: nothing is filtered, converted or fetched", async () => {
  const bundle = await bundleOf(
    craftCommit(author, [
      {
        path: ".gitattributes",
        content: "*.py filter=evil eol=crlf ident working-tree-encoding=UTF-16\n*.bin filter=lfs\n",
      },
      {
        path: ".gitmodules",
        content: '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c touch% /tmp/pwned\n',
      },
      { path: "b.py", content: "$Id$\nline\n" },
    ]),
  );
  expect(readFileSync(join(bundle.dir, "b.py"), "utf8")).toBe("$Id$\nline\n");
});

test("too deep and too long paths are left out", async () => {
  const deep = `${"d/".repeat(25)}x.py`;
  const long = `${"l".repeat(200)}/${"m".repeat(230)}.py`;
  const bundle = await bundleOf(commit(author, { [deep]: "x", [long]: "y" }));
  expect(bundle.problems.map(({ message }) => message).toSorted()).toEqual([
    containing("path of more than 400"),
    containing("more than 20 folders"),
  ]);
});

test("bundles that nothing references go, kept ones and running checkouts stay", async () => {
  const ids = Array.from({ length: 4 }, (_, i) => commit(author, { "dags/a.py": `v${i}` }));
  for (const id of ids) await bundleOf(id);
  const kept = [ids[1] ?? "", ids[3] ?? ""];
  const gone = await collectBundles(bundlesDir, new Set(kept), Date.now());
  expect(new Set(gone)).toEqual(new Set([ids[0], ids[2]]));
  expect(new Set(readdirSync(bundlesDir))).toEqual(new Set([...kept, ".trash"]));
  expect(readdirSync(join(bundlesDir, ".trash"))).toEqual([]);
});
