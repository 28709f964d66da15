import { expect, test } from "vitest";
import { checkJson } from "../../model/check-json.ts";
import { findParamProblems, paramSentence } from "../../model/check-params.ts";
import { matches } from "./matches.ts";
import { confOf, fieldsLike, fieldsOf, fillForm, readConfText } from "./params-form.ts";

const tools = { matches };
const param = (name: string, schema: object) => ({
  name,
  schema: schema as { readonly [key: string]: unknown },
  description: null,
});

test("each schema gets the field that its type wants", () => {
  const kinds = (schema: object) => fieldsOf([param("p", schema)])[0]?.kind;
  expect(kinds({ type: "string" })).toBe("text");
  expect(kinds({ type: "string", format: "multiline" })).toBe("lines");
  expect(kinds({ type: "string", format: "date" })).toBe("date");
  expect(kinds({ type: ["null", "string"], format: "date-time" })).toBe("date-time");
  expect(kinds({ type: "integer" })).toBe("integer");
  expect(kinds({ type: ["integer", "number"] })).toBe("number");
  expect(kinds({ type: "boolean" })).toBe("boolean");
  expect(kinds({ enum: [1, "two", null] })).toBe("choice");
  expect(kinds({ type: "array", items: { type: "string" } })).toBe("list");
  expect(kinds({ type: "array", items: { type: "object" } })).toBe("json");
  expect(kinds({ type: "object" })).toBe("json");
  expect(kinds({ type: ["string", "integer"] })).toBe("json");
  expect(kinds({ anyOf: [{ type: "integer" }, { type: "null" }] })).toBe("integer");
  expect(kinds({ default: "today" })).toBe("text");
  expect(kinds({ default: true })).toBe("boolean");
  expect(kinds({ default: { a: 1 } })).toBe("json");
  expect(kinds({})).toBe("json");
});

test("what the form is filled with comes out again, and what it does not know stays beside it", () => {
  const fields = fieldsOf([
    param("day", { type: "string", default: "today" }),
    param("rows", { type: ["null", "integer"], default: null }),
    param("kind", { enum: ["a", 2, null], default: "a" }),
    param("names", { type: "array", items: { type: "string" }, default: [] }),
    param("deep", { type: "object", default: { x: [1] } }),
    param("on", { type: "boolean", default: false }),
  ]);
  const empty = fillForm(fields, {});
  expect(empty.unfit).toEqual([]);
  expect(confOf(fields, empty.drafts, empty.extra).conf).toEqual({
    day: "today",
    rows: null,
    kind: "a",
    names: [],
    deep: { x: [1] },
    on: false,
  });
  const conf = {
    day: "x",
    rows: 3,
    kind: 2,
    names: ["a", "b"],
    deep: {},
    on: true,
    other: { y: 1 },
  };
  const filled = fillForm(fields, conf);
  expect(filled.extra).toEqual({ other: { y: 1 } });
  expect(confOf(fields, filled.drafts, filled.extra).conf).toEqual(conf);
  expect(fillForm(fields, { rows: "three", kind: "unknown" }).unfit).toEqual(["rows", "kind"]);
});

test("what cannot be read is a problem of its field", () => {
  const fields = fieldsOf([param("n", { type: "integer" }), param("o", { type: "object" })]);
  const { problems, conf } = confOf(
    fields,
    new Map([
      ["n", "1e"],
      ["o", "{"],
    ]),
    {},
  );
  expect(problems.get("n")).toBe("must be a number");
  expect(problems.get("o")).toMatch(/^is no JSON/);
  expect(conf).toEqual({});
  expect(confOf(fields, new Map([["n", "12345678901234567890"]]), {}).problems.get("n")).toMatch(
    /rounded/,
  );
});

test("a conf's text is an object whose numbers can be sent, or a sentence", () => {
  expect(readConfText("")).toEqual({ conf: {} });
  expect(readConfText('{"a":1}')).toEqual({ conf: { a: 1 } });
  expect(readConfText("[1]")).toHaveProperty("problem", expect.stringContaining("JSON object"));
  expect(readConfText("{")).toHaveProperty("problem", expect.stringContaining("no JSON"));
  expect(readConfText('{"id":12345678901234567890}')).toHaveProperty(
    "problem",
    expect.stringContaining("12345678901234567890"),
  );
});

test("names are data: __proto__ and constructor are params like any other", () => {
  const params = JSON.parse(
    '{"__proto__":{"schema":{"type":"integer","minimum":2,"default":1}},"constructor":{"schema":{"type":"string"}}}',
  ) as Record<string, { schema: Record<string, never> }>;
  const fields = fieldsOf(Object.entries(params).map(([name, { schema }]) => param(name, schema)));
  const { conf } = confOf(
    fields,
    new Map([
      ["__proto__", "7"],
      ["constructor", "c"],
    ]),
    {},
  );
  expect(JSON.stringify(conf)).toBe('{"__proto__":7,"constructor":"c"}');
  expect(Object.getPrototypeOf(conf)).toBe(Object.prototype);
  expect(findParamProblems(params, {}, tools).map(paramSentence)).toEqual([
    "param __proto__ must be at least 2",
    "param constructor has no value and no default",
  ]);
});

test("every problem names its param and the place in it", () => {
  const params = {
    rows: {
      schema: {
        type: "array",
        items: { type: "object", properties: { id: { type: "integer" } }, required: ["id"] },
      },
    },
    code: { schema: { type: "string", pattern: "^[A-Z]{3}$" } },
    size: { schema: { type: "number", minimum: 1, exclusiveMaximum: 5 } },
    day: { schema: { type: "string", format: "date" } },
    way: { schema: { anyOf: [{ type: "string", minLength: 3 }, { type: "null" }] } },
  } as const;
  const told = findParamProblems(
    params,
    { rows: [{ id: 1 }, { id: "x" }, {}], code: "ab", size: 5, day: "2026-02-30", way: "x" },
    tools,
  ).map(paramSentence);
  expect(told).toEqual([
    "param rows.1.id must be a whole number",
    "param rows.2.id is missing",
    "param code must match ^[A-Z]{3}$",
    "param size must be less than 5",
    "param day must be a date, as 2026-01-31",
    "param way must have at least 3 characters",
  ]);
});

test("a schema that leads to itself, is deep or wide ends in a sentence, not in a hang", () => {
  const itself = {
    $defs: { a: { allOf: [{ $ref: "#/$defs/a" }, { $ref: "#/$defs/a" }] } },
    $ref: "#/$defs/a",
  };
  expect(checkJson(itself, 1, tools)[0]?.message).toMatch(/too deep or too large/);
  const tree = { type: "object", properties: { next: { $ref: "#" } } };
  expect(checkJson(tree, { next: { next: { next: {} } } }, tools)).toEqual([]);
  expect(checkJson(tree, { next: { next: 1 } }, tools)[0]?.path).toEqual(["next", "next"]);
  let deep: object = { type: "integer" };
  for (let i = 0; i < 5_000; i += 1) deep = { allOf: [deep] };
  expect(checkJson(deep, 1, tools)[0]?.message).toMatch(/too deep or too large/);
  // Backtracks for ages in an engine that does.
  expect(
    checkJson({ type: "string", pattern: "^(a+)+$" }, `${"a".repeat(5_000)}!`, tools),
  ).toHaveLength(1);
  expect(checkJson({ type: "string", pattern: "(?<=a)(" }, "x", tools)).toEqual([]);
});

test("a thousand params are a thousand fields, found by their letters", () => {
  const fields = fieldsOf(
    Array.from({ length: 1_000 }, (_, i) => param(`p${i}`, { type: "integer", default: i })),
  );
  const { drafts, extra } = fillForm(fields, {});
  expect(Object.keys(confOf(fields, drafts, extra).conf)).toHaveLength(1_000);
  expect(fieldsLike(fields, "P99").map(({ name }) => name)).toContain("p999");
});
