import { expect, test } from "vitest";
import { evaluate, render, syntaxProblem } from "./render-template.ts";
import { guarded, refuseUnsafe, safeInShell, safeInSql } from "./template-names.ts";

test("templates see what they are given, as Airflow's do", () => {
  const names = {
    ds: "2026-11-20",
    ts: "2026-11-20T00:00:00+00:00",
    params: { table: "users", n: 9 },
    xs: [1, 2, 3],
    rows: [
      { id: 1, ok: true },
      { id: 2, ok: false },
    ],
  };
  for (const [template, expected] of [
    ["{{ ds }}", "2026-11-20"],
    ["{{ params['table'].upper() }}", "USERS"],
    ["{% for x in xs if x > 1 %}{{ x }}{% endfor %}", "23"],
    ["{{ ds.split('-')[0] }}/{{ ts | ds_nodash }}", "2026/20261120"],
    ["{{ rows | selectattr('ok') | map(attribute='id') | join(',') }}", "1"],
    ["{{ missing | default('x') }}", "x"],
    ["{{ 7 // 2 }} {{ 2 ** 3 }}", "3 8"],
    [
      "{% set ns = namespace(n=0) %}{% for x in xs %}{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}",
      "6",
    ],
  ] as const)
    expect(render(template, names)).toBe(expected);
  expect(evaluate("params.n > 3 and 'x' in 'xyz'", names)).toBe(true);
});

test("no template reaches the JavaScript behind it", () => {
  let called = 0;
  const names = {
    f: () => {
      called++;
      return "f";
    },
    x: { a: 1 },
    p: new Proxy({}, { get: () => "host" }),
  };
  const attacks = [
    "{{ ''.constructor.constructor('return process')() }}",
    "{{ f.constructor('return process.version')() }}",
    "{{ f.constructor }}",
    "{{ f.__proto__ }}",
    "{{ x.__proto__ }}",
    "{{ x['constructor'] }}",
    "{{ x.toString }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ p.anything }}",
    "{{ globalThis }}{{ process }}{{ require }}",
    "{{ debug() }}",
    "{% include '/etc/passwd' %}",
    "{% import '/etc/passwd' as x %}",
    "{{ self }}",
  ];
  expect(attacks.filter((attack) => !fails(() => render(attack, names)))).toEqual([]);
  expect(called).toBe(0);
});

test("what runs too long is stopped, and the engine is good for the next template", () => {
  const started = performance.now();
  const bombs = [
    "{% for i in range(10**9) %}{{ i }}{% endfor %}",
    "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{{ range(100000000) | list | length }}",
  ];
  expect(bombs.filter((bomb) => !fails(() => render(bomb, {})))).toEqual([]);
  expect(performance.now() - started).toBeLessThan(1000);
  expect(() => render("x".repeat(300_000), {})).toThrow(/256 KiB/);
  expect(render("{{ a }}", { a: 1 })).toBe("1");
});

test("an undefined name, a wrong filter and broken syntax say where", () => {
  expect(() => render("a\n{{ nope }}", {})).toThrow('undefined value in "{{ nope }}"');
  expect(() => render("{{ conf.get('k', 'd') }}", { conf: {} })).toThrow("default('…')");
  expect(syntaxProblem("a\nb {{ c", "template")).toMatchObject({ line: 2 });
  expect(syntaxProblem("a ==", "expression")).toBeDefined();
  expect(syntaxProblem("a == {{ b", "expression")).toBeDefined();
  expect(syntaxProblem("{{ anything }}", "template")).toBeUndefined();
});

test("a value that a shell or a database would read as code is refused, whatever the template does to it", () => {
  const names = { ds: "2026-11-20", params: { dir: "x; rm -rf /", ok: "eu-west_1" } };
  const shell = guarded(names, safeInShell);
  const command = (template: string): string =>
    refuseUnsafe(render(template, shell), "give it by env");
  expect(command("ls {{ params.ok }} {{ ds }}")).toBe("ls eu-west_1 2026-11-20");
  const templates = [
    "ls {{ params.dir }}",
    "ls '{{ params.dir }}'",
    "ls {{ params.dir | upper }}",
    "ls {{ params }}",
  ];
  for (const template of templates) expect(() => command(template)).toThrow(/give it by env/);
  const inShell = ["$(id)", "`id`", "a b", "a\nb", "a;b", "a|b", "a&b", "'", '"', "{a,b}", "*"];
  expect(inShell.filter((evil) => safeInShell.test(evil))).toEqual([]);
  const inSql = ["1 or 1=1", "1--", "'", "1/**/", "(select 1)", "a;b"];
  expect(inSql.filter((evil) => safeInSql.test(evil))).toEqual([]);
});

function fails(deed: () => unknown): boolean {
  try {
    deed();
    return false;
  } catch {
    return true;
  }
}
