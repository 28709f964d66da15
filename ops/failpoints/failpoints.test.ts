import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { failpointNames, failpointsSet, hit, setFailpoints } from "./failpoints.ts";

const root = join(import.meta.dirname, "..", "..");

afterEach(() => void setFailpoints(undefined));

const refusal = (text: string): string => {
  try {
    setFailpoints(text);
  } catch (error) {
    return `${(error as Error).message} ${(error as { hint: string }).hint}`;
  }
  return "";
};

test("each failpoint stands exactly once in the source, and each place asks whether any is set", () => {
  const places = new Map<string, string[]>();
  let files = 0;
  for (const folder of ["platform", "tenants"])
    for (const file of readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })) {
      if (!/\.tsx?$/.test(file) || /\.test\.tsx?$|node_modules|^dist/.test(file)) continue;
      files += 1;
      const text = readFileSync(join(root, folder, file), "utf8");
      for (const [place, , name = ""] of text.matchAll(
        /(if \(failpointsSet[^)]*\) await )?\bhit\("([^"]*)"\)/g,
      )) {
        places.set(name, [...(places.get(name) ?? []), `${folder}/${file}`]);
        expect(place, `${file}: ${name}`).toMatch(/^if \(failpointsSet/);
      }
    }
  expect(files).toBeGreaterThan(200);
  expect([...places.keys()].toSorted()).toEqual(failpointNames.toSorted());
  expect([...places].filter(([, where]) => where.length !== 1)).toEqual([]);
});

test("nothing is set where nothing was said, and a place then does nothing", async () => {
  expect(failpointsSet).toBe(false);
  await hit("door.after_commit");
});

test("error throws at its place and nowhere else, as often as was said", async () => {
  expect(setFailpoints("door.after_commit=2*error; claim.after=sleep(1)")).toEqual([
    "door.after_commit",
    "claim.after",
  ]);
  expect(failpointsSet).toBe(true);
  await hit("door.before_commit");
  await hit("claim.after");
  await expect(hit("door.after_commit")).rejects.toThrow("door.after_commit is set to error");
  await expect(hit("door.after_commit")).rejects.toThrow("is set to error");
  await hit("door.after_commit");
});

test("by dice: a chance of 0% never comes, one of 100% always", async () => {
  setFailpoints("door.after_commit=0%error;claim.after=100%error");
  for (let i = 0; i < 50; i += 1) await hit("door.after_commit");
  await expect(hit("claim.after")).rejects.toThrow("is set to error");
});

test("exit ends the process as SIGKILL does, and was announced before", () => {
  const ran = spawnSync(
    process.execPath,
    [
      "--input-type=module",
      "--eval",
      `import { hit, setFailpoints } from ${JSON.stringify(join(import.meta.dirname, "failpoints.ts"))};
       process.on("exit", () => console.log("a handler ran"));
       setFailpoints("claim.after=exit");
       try { await hit("claim.after"); } finally { console.log("went on"); }`,
    ],
    { encoding: "utf8" },
  );
  expect(ran.signal).toBe("SIGKILL");
  expect(ran.stderr).toContain("failpoint claim.after: exit\n");
  expect(ran.stdout).toBe("");
});

test.each([
  ["door.befor_commit=exit", /no failpoint.*did you mean door\.(after|before)_commit/],
  ["dor.before_commit=exit", /did you mean door\.before_commit/],
  ["xyz=exit", /there are: door\.before_commit/],
  ["door.before_commit", /no action.*write exit, error or sleep/],
  ["door.before_commit=explode", /'explode', which is no action/],
  ["door.before_commit=101%exit", /no action/],
  ["door.before_commit=sleep(99999999)", /no action.*at most 600000/],
  ["door.before_commit=exit;door.before_commit=error", /twice/],
  ["constructor=exit", /no failpoint/],
])("%s is refused with what to write instead", (text, words) => {
  expect(refusal(text)).toMatch(words);
  expect(failpointsSet).toBe(false);
});
