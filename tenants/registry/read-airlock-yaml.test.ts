import { expect, test } from "vitest";
import { defaultLimits, narrowLimits, readLimit } from "./limits.ts";
import { readAirlockYaml } from "./read-airlock-yaml.ts";

const mib = 2 ** 20;
const problemsOf = (text: string): string[] => {
  const read = readAirlockYaml(text, defaultLimits);
  return read.ok ? [] : read.problem.map(({ line, message }) => `${line ?? "?"}: ${message}`);
};

test("a whole file is read", () => {
  const text =
    "dags_folder: pipelines/dags/\nlevel: 1.10\nguest: official\nairflowignore: regexp\nenvironment: req/prod.txt\nlimits:\n  memory: 256MiB\n  cpu: 0.5\n  parse_seconds: 10\n";
  expect(readAirlockYaml(text, defaultLimits)).toEqual({
    ok: true,
    value: {
      dagsFolder: "pipelines/dags",
      level: "1.10",
      pythonGuest: "official",
      ignoreSyntax: "regexp",
      environmentFile: "req/prod.txt",
      limits: { ...defaultLimits, memoryBytes: 256 * mib, cpuPercent: 50, parseSeconds: 10 },
    },
  });
});

test.each(["", "# only a comment\n", "null\n"])("%j is a file without settings", (text) => {
  expect(readAirlockYaml(text, defaultLimits)).toMatchObject({
    ok: true,
    value: { limits: defaultLimits },
  });
});

test("level 2 may be a number or a string", () => {
  expect(readAirlockYaml("level: 2", defaultLimits)).toMatchObject({ value: { level: "2" } });
  expect(readAirlockYaml('level: "2"', defaultLimits)).toMatchObject({ value: { level: "2" } });
});

test("each problem has its line, all are told at once", () => {
  expect(
    problemsOf(
      "level: 4\nguest: x\ndag_folder: a\nlimits:\n  memory: 2GiB\n  speed: 1\n  cpu: fast\ndags_folder: ../x\n",
    ),
  ).toEqual([
    "1: level cannot be 4",
    "2: guest cannot be x",
    '3: airlock.yaml has no setting "dag_folder"',
    "5: limits.memory: 2 GiB is more than this tenant may have (512 MiB)",
    "6: limits.speed is not a limit",
    '7: limits.cpu cannot be "fast"',
    "8: dags_folder must stay inside the repository",
  ]);
});

test.each([
  ["level: [", "1:"],
  ["- a\n- b\n", "1: airlock.yaml must be a map"],
  ["limits: 3\n", "1: limits must be a map"],
  ["a: 1\na: 2\n", "2: airlock.yaml is not valid YAML"],
  ["level: &a 2\nguest: *a\n", "2: guest cannot be"],
  [`x: ${"y".repeat(70_000)}`, "1: airlock.yaml is larger"],
  ["__proto__: {a: 1}\n", '1: airlock.yaml has no setting "__proto__"'],
  ["environment: /etc/passwd\n", "1: environment must stay inside"],
])("%j is refused", (text, problem) => expect(problemsOf(text)[0]).toContain(problem));

test("billion laughs cost nothing", () => {
  const laughs = `a0: &a0 [x,x]\n${Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i},*a${i},*a${i},*a${i}]`).join("\n")}\n`;
  const begin = performance.now();
  expect(problemsOf(laughs).length).toBeGreaterThan(0);
  expect(performance.now() - begin).toBeLessThan(1000);
});

test.each([
  ["memory", "1GiB", 1024 * mib],
  ["memory", "1GB", 1e9],
  ["memory", "512", 512],
  ["memory", 1048576, mib],
  ["cpu", 1.5, 150],
  ["wall_seconds", 0, 0],
])("limits.%s: %j is %d", (key, raw, value) => {
  const read = readLimit(key, raw);
  expect(read.ok && Object.values(read.value)).toEqual([value]);
});

test.each([
  ["memory", "-1"],
  ["memory", 0],
  ["memory", "1e9"],
  ["memory", Number.NaN],
  ["memory", null],
  ["processes", 1.5],
  ["cpu", "1"],
  ["parse_seconds", -1],
])("limits.%s: %j is no amount", (key, raw) => expect(readLimit(key, raw).ok).toBe(false));

test("no wall time is wider than any wall time", () => {
  const maxima = { ...defaultLimits, wallSeconds: 60 };
  expect(narrowLimits(maxima, { wallSeconds: 0 }).problems).toHaveLength(1);
  expect(narrowLimits(maxima, { wallSeconds: 30 }).limits.wallSeconds).toBe(30);
  expect(narrowLimits(defaultLimits, { wallSeconds: 30 }).limits.wallSeconds).toBe(30);
});
