import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { readYamlDags, type YamlDags } from "./read-yaml-dag.ts";
import { schemaText } from "./schema-text.ts";

const read = (text: string, files: readonly string[] = []): YamlDags =>
  readYamlDags(Buffer.from(text), (name) => (files.includes(name) ? name : undefined));
const lines = (text: string, files?: readonly string[]): string[] =>
  read(text, files).problems.map(
    ({ line, column, message, hint }) =>
      `${line}:${column} ${message}${hint === undefined ? "" : ` | ${hint}`}`,
  );
const sample = (name: string): string =>
  readFileSync(new URL(`../node/samples/dags/${name}`, import.meta.url), "utf8");

test("the sample becomes a spec: edges from references, maps, groups, a branch", () => {
  const { dags, problems } = read(sample("orders.dag.yaml"), ["extract.py"]);
  expect(problems).toEqual([]);
  const [dag] = dags;
  expect(dag).toMatchObject({
    dag_id: "orders_yaml",
    guest: "node",
    timetable: { kind: "cron_trigger", expression: "0 6 * * *", timezone: "Europe/Zurich" },
    timezone: "Europe/Zurich",
    catchup: false,
    params: { region: { schema: { type: "string", default: "eu" } } },
    groups: [{ group_id: "load", prefix_group_id: true }],
  });
  const tasks = new Map(dag?.tasks.map((task) => [String(task.task_id), task]));
  expect(tasks.get("extract")).toMatchObject({
    downstream: ["clean"],
    retries: 2,
    retry_delay_s: 30,
    multiple_outputs: true,
    template_fields: ["args"],
  });
  expect(tasks.get("clean")).toMatchObject({
    map: { kind: "product", sources: [{ kind: "task", task_id: "extract", key: "rows" }] },
    max_active_tis_per_dagrun: 8,
  });
  expect(tasks.get("load.remember")).toMatchObject({ runs_in: "inline", downstream: ["how"] });
  expect(tasks.get("how")).toMatchObject({ decides: "branch", downstream: ["report", "nothing"] });
  expect(tasks.get("notify")?.trigger_rule).toBe("none_failed_min_one_success");
});

describe("a mistake is told with its line, its column and the way out", () => {
  const cases: readonly (readonly [name: string, text: string, problems: readonly string[]])[] = [
    [
      "a misspelt key is one mistake, not two",
      "id: a\ntasks:\n  x:\n    type: bash\n    comand: ls\n",
      ['5:5 unknown key "comand" in a bash task | Did you mean `command`?'],
    ],
    ["a missing key", "id: a\ntasks:\n  x:\n    type: bash\n", ['3:3 "x" has no `command`']],
    [
      "an unknown type",
      "id: a\ntasks:\n  x: { type: bsh, command: ls }\n",
      ['3:14 unknown task type "bsh" | Did you mean `bash`?'],
    ],
    [
      "no type",
      "id: a\ntasks:\n  x: { command: ls }\n",
      [
        '3:3 "x" has no `type` | One of shell, group, bash, python, node, http, http.sensor, sql, branch, short_circuit, empty.',
      ],
    ],
    [
      "a number where text is wanted",
      "id: 3\ntasks: {}\n",
      ["1:5 id must be text, not a number | Put it in quotes."],
    ],
    [
      "a duration that is none",
      "id: a\ndefaults:\n  retryDelay: soon\ntasks: {}\n",
      [
        '3:15 defaults.retryDelay: a duration is a number and ms, s, m, h or d, for example "30s" or "1h"',
      ],
    ],
    [
      "a cron field out of range, at the expression",
      'id: a\nschedule:\n  cron: "0 25 * * *"\ntasks: {}\n',
      ['3:9 the hour of the cron expression, "25", is not one of 0–23'],
    ],
    [
      "an unknown time zone, at the zone",
      'id: a\nschedule: { cron: "0 2 * * *", timezone: Mars/Base }\ntasks: {}\n',
      ['2:42 "Mars/Base" is no time zone, write for example "Europe/Zurich"'],
    ],
    [
      "a schedule of no known shape",
      "id: a\nschedule: { crn: x }\ntasks: {}\n",
      ['2:13 unknown key "crn" | Did you mean `cron`?'],
    ],
    [
      "a reference to nothing",
      "id: a\ntasks:\n  extract: { type: bash, command: ls }\n  x:\n    type: bash\n    command: ls\n    env: { N: '${{ extrct.n }}' }\n",
      ['7:15 there is no task or group "extrct" | Did you mean `extract`?'],
    ],
    [
      "a reference inside text",
      "id: a\ntasks:\n  e: { type: bash, command: ls }\n  x:\n    type: bash\n    command: echo ${{ e }}\n",
      [
        "6:14 a reference is the whole value, for example ${{ extract.rows }} | In text write {{ name }} and give the task `with: { name: ${{ … }} }`.",
      ],
    ],
    [
      "needs something that is not there",
      "id: a\ntasks:\n  x:\n    type: empty\n    needs:\n      - y\n",
      ['6:9 there is no task or group "y"'],
    ],
    [
      "a circle",
      "id: a\ntasks:\n  x: { type: empty, needs: z }\n  y: { type: empty, needs: x }\n  z: { type: empty, needs: y }\n",
      ["3:3 the tasks go round in a circle: x → y → z → x | Take one of these dependencies away."],
    ],
    [
      "a task that waits for itself",
      "id: a\ntasks:\n  x: { type: bash, command: ls, env: { A: '${{ x.n }}' } }\n",
      ['3:43 "x" refers to its own output'],
    ],
    [
      "a branch to nowhere, and broken expressions",
      "id: a\ntasks:\n  x: { type: empty }\n  b:\n    type: branch\n    cases:\n      - if: a ==\n        to: z\n    else: x\n",
      [
        "7:13 expression: syntax error: unexpected end of variable block",
        '8:13 there is no task or group "z"',
      ],
    ],
    [
      "broken template, on its own line inside the block",
      "id: a\ntasks:\n  x:\n    type: bash\n    command: |\n      echo one\n      echo {{ two\n",
      ["7:1 template: syntax error: unexpected end of input, expected end of variable block"],
    ],
    [
      "item without a map",
      "id: a\ntasks:\n  x: { type: bash, command: ls, env: { A: '${{ item }}' } }\n",
      ['3:43 "x" is not mapped, so there is no item | Give it `map: { over: … }`.'],
    ],
    [
      "an undeclared param",
      "id: a\nparams: { region: { type: string } }\ntasks:\n  x: { type: bash, command: ls, env: { A: '${{ params.regoin }}' } }\n",
      ['4:43 there is no param "regoin" | Did you mean `region`?'],
    ],
    [
      "a script that is not there, code beside a script, rows without a table",
      "id: a\ntasks:\n  x: { type: python, script: no.py }\n  y: { type: node, script: a.ts, code: return 1 }\n  z: { type: sql, conn: c, rows: [] }\n",
      [
        '3:30 the file "no.py" is neither beside this file nor at the repository\'s root',
        '4:28 the file "a.ts" is neither beside this file nor at the repository\'s root',
        '4:3 "y" has `script` and `code`, only one is possible',
        '5:3 "z" needs `rows` and `into` together',
      ],
    ],
    [
      "a tab",
      "id: a\ntasks:\n\tx: 1\n",
      ["3:1 no YAML: Tabs are not allowed as indentation | Indent with spaces."],
    ],
    [
      "brackets without quotes: one problem, not its forty echoes",
      "id: a\ntasks:\n  x: { type: short_circuit, if: a[0].b > 1 }\n  y: { type: empty }\n",
      [
        "3:34 no YAML: Unexpected flow-seq-start at node end | Text with [ ] { } , : or # in it needs quotes around it.",
      ],
    ],
    [
      "the same key twice",
      "id: a\ntasks:\n  x: { type: empty }\n  x: { type: empty }\n",
      ['4:3 the key "x" is there twice'],
    ],
    [
      "an id with spaces",
      "id: a\ntasks:\n  x y: { type: empty }\n",
      ['3:3 the id "x y" must be letters, digits, dash and underscore'],
    ],
    ["a list", "- a\n- b\n", ["1:1 a DAG file must be a mapping, not a list"]],
    [
      "two DAGs of the same name",
      "id: a\ntasks: {}\n---\nid: a\ntasks: {}\n",
      ['4:1 the DAG "a" is declared twice in this file'],
    ],
    [
      "a mapping over a deeper field",
      "id: a\ntasks:\n  e: { type: bash, command: ls }\n  m: { type: bash, command: ls, map: { over: '${{ e.a.b }}' } }\n",
      [
        "4:46 only a whole output or one field of it can be mapped over | Put a task between that returns the list.",
      ],
    ],
    [
      "a name of the platform taken by with",
      "id: a\ntasks:\n  e: { type: bash, command: ls, with: { ds: 1 } }\n",
      ['3:41 "ds" is a name that templates have already'],
    ],
  ];
  test.each(cases)("%s", (_name, text, expected) => {
    expect(lines(text)).toEqual(expected);
  });
});

describe("a hostile file costs little and is refused", () => {
  const hostile: readonly (readonly [string, string, RegExp])[] = [
    [
      "billion laughs",
      `${Array.from(
        { length: 12 },
        (_, i) =>
          `a${i}: &a${i} [${
            i === 0
              ? "x"
              : Array(10)
                  .fill(`*a${i - 1}`)
                  .join(",")
          }]`,
      ).join("\n")}\n`,
      /aliases/,
    ],
    ["deep flow", "[".repeat(100_000), /deep/],
    ["deep maps", "{a: ".repeat(100_000), /deep/],
    ["deep block", `${"- ".repeat(100_000)}x`, /deep/],
    [
      "deep by indentation",
      Array.from({ length: 1200 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"),
      /deep/,
    ],
    [
      "20,000 tasks",
      `id: a\ntasks:\n${Array.from({ length: 20_000 }, (_, i) => `  t${i}: {type: empty}`).join("\n")}\n`,
      /20000 tasks, at most 10000/,
    ],
    [
      "code larger than a task may carry",
      `id: a\ntasks:\n  x:\n    type: python\n    code: "${"x".repeat(70_000)}"\n`,
      /a task may take 64 KiB/,
    ],
    ["an alias to itself", "id: &a [*a]\ntasks: {}\n", /./],
    [
      "a mark of ours",
      "id: a\ntasks: {x: {type: python, code: '1', args: {a: {$airlock: template, text: '{{ x }}'}}}}\n",
      /is taken/,
    ],
  ];
  test.each(hostile)("%s", (_name, text, message) => {
    const started = performance.now();
    const { problems, dags } = read(text);
    expect(dags).toEqual([]);
    expect(problems.map((problem) => problem.message).join("\n")).toMatch(message);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  test("one slip in a large file is told in a few problems, the same one once", () => {
    const many = Array.from({ length: 20 }, (_, i) => `  t${i}: { type: empty, needs: first }`);
    const misnamed = lines(["id: a", "tasks:", "  frist: { type: empty }", ...many].join("\n"));
    expect(misnamed).toEqual([
      '4:29 there is no task or group "first" | Did you mean `frist`? The same on line 5, 6, 7 and 16 more.',
    ]);
    const cut = lines(["id: a", "tasks: #", "  #", "---", ...many].join("\n"));
    expect(cut).toHaveLength(3);
    expect(cut[0]).toContain("2:8 tasks must be a mapping, not nothing");
    expect(cut[2]).toMatch(/\d+ further problems may come from the ones told here\.$/);
  });

  test("ten thousand tasks in a line are read within seconds", () => {
    const started = performance.now();
    const text = `id: a\ntasks:\n  t0: {type: empty}\n${Array.from({ length: 9_999 }, (_, i) => `  t${i + 1}: {type: empty, needs: t${i}}`).join("\n")}\n`;
    const { dags, problems } = read(text);
    expect(problems).toEqual([]);
    expect(dags[0]?.tasks).toHaveLength(10_000);
    expect(performance.now() - started).toBeLessThan(8000);
  });

  test("50 MB are refused before anything is parsed", () => {
    const bytes = new Uint8Array(50_000_000).fill(97);
    const started = performance.now();
    const { problems } = readYamlDags(bytes, () => undefined);
    expect(problems[0]?.message).toBe("the file is 47.7 MiB, a DAG file may have 1 MiB");
    expect(performance.now() - started).toBeLessThan(100);
  });

  test("whatever the text, the answer is DAGs or problems with places, never an exception", () => {
    const words = [
      "id: a",
      "tasks:",
      "  x:",
      "    type: bash",
      "    command: ls",
      "- ",
      "&a",
      "*a",
      "<<: *a",
      "{",
      "}",
      "[",
      "${{ x.y }}",
      "{{ ds }}",
      "? ",
      ": ",
      "|",
      ">",
      "\t",
      "---",
      "!!js/function x",
      "'",
      '"',
      "__proto__: {a: 1}",
      "constructor:",
      "#",
      "\u2028",
      "\0",
      "%YAML 9.9",
      "needs: [x]",
      "map: { over: [1] }",
    ];
    const text = fc.oneof(
      fc.string({ maxLength: 200 }),
      fc.array(fc.constantFrom(...words), { maxLength: 30 }).map((parts) => parts.join("\n")),
      fc.array(fc.constantFrom(...words), { maxLength: 30 }).map((parts) => parts.join(" ")),
    );
    fc.assert(
      fc.property(text, (yaml) => {
        const { dags, problems } = read(yaml);
        for (const { line, column, message } of problems) {
          expect(line).toBeGreaterThan(0);
          expect(column).toBeGreaterThan(0);
          expect(message).not.toBe("");
        }
        expect(dags.length === 0 || problems.length >= 0).toBe(true);
      }),
      { numRuns: 1500 },
    );
  });

  test("a valid file broken at any byte is read or refused", () => {
    const whole = sample("orders.dag.yaml");
    fc.assert(
      fc.property(fc.nat(whole.length), fc.string({ maxLength: 3 }), (at, put) => {
        expect(() =>
          read(whole.slice(0, at) + put + whole.slice(at + 1), ["extract.py"]),
        ).not.toThrow();
      }),
      { numRuns: 200 },
    );
  });
});

describe("the published schema", () => {
  test("is the one the reader was made from", () => {
    const published: unknown = JSON.parse(
      readFileSync(new URL("./schema/dag.v1.json", import.meta.url), "utf8"),
    );
    expect(published).toEqual(JSON.parse(schemaText()));
  });

  test("accepts what the reader accepts, refuses a misspelt key, and explains its fields", () => {
    const schema = JSON.parse(schemaText()) as Record<string, unknown>;
    expect(schema["$schema"]).toBe("https://json-schema.org/draft/2020-12/schema");
    const check = new Ajv2020({ strict: false, unicodeRegExp: false }).compile(schema);
    check(parse(sample("orders.dag.yaml")));
    expect(check.errors ?? []).toEqual([]);
    expect(check({ id: "a", tasks: { x: { type: "bash", comand: "ls" } } })).toBe(false);
    expect(JSON.stringify(schema)).toContain("Give outputs of tasks through env");
  });
});
