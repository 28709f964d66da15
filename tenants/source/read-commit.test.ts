import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { commit, git, newRepository, temporaryFolder } from "../../test/kit/git.ts";
import { describeCommit, readCommitted } from "./read-commit.ts";

const folder = temporaryFolder();
const bare = join(folder, ".git");
newRepository(folder, { "dags/a.py": "one\n" });
const first = git(folder, ["rev-parse", "HEAD"]);
const second = commit(folder, { "dags/a.py": "two\n" }, `${"long ".repeat(200)}\n\nits body`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a commit says who made it, when and why", async () => {
  expect(await describeCommit(bare, first)).toMatchObject({ author: "Author", subject: "first" });
  const long = await describeCommit(bare, second);
  expect(long?.subject).toHaveLength(300);
  expect(Math.abs((long?.at.getTime() ?? 0) - Date.now())).toBeLessThan(600_000);
});

test("a file is read as it was, also when it has changed since", async () => {
  expect(await readCommitted(bare, first, "dags/a.py")).toBe("one\n");
  expect(await readCommitted(bare, second, "dags/a.py")).toBe("two\n");
});

test("what is not there, or is no commit at all, is undefined", async () => {
  expect(await readCommitted(bare, first, "dags/b.py")).toBeUndefined();
  expect(await readCommitted(bare, first, "dags")).toBeUndefined();
  expect(await readCommitted(bare, first, "../secret")).toBeUndefined();
  for (const odd of ["HEAD", "--help", "a".repeat(40), `${first}^`, ""]) {
    expect(await describeCommit(bare, odd)).toBeUndefined();
    expect(await readCommitted(bare, odd, "dags/a.py")).toBeUndefined();
  }
});
