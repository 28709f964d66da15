import { describe, expect, test } from "vitest";
import {
  readConnection,
  readConnections,
  readEnvironmentThings,
  readVariables,
} from "./read-things.ts";

describe("a connection", () => {
  test.each([
    [
      "postgres://etl:p%40ss%2Fword@db.example.org:5433/dwh?sslmode=require",
      {
        conn_type: "postgres",
        login: "etl",
        password: "p@ss/word",
        host: "db.example.org",
        port: 5433,
        schema: "dwh",
        extra: '{"sslmode":"require"}',
      },
    ],
    ["postgresql://u@h/s", { conn_type: "postgres", login: "u", host: "h", schema: "s" }],
    [
      "google-cloud-platform://?__extra__=%7B%22a%22%3A%20%7B%22b%22%3A%201%7D%7D",
      { conn_type: "google_cloud_platform", extra: '{"a": {"b": 1}}' },
    ],
    [
      "http://https%3A%2F%2Fapi.example.org/",
      { conn_type: "http", host: "https://api.example.org" },
    ],
    [
      "mysql://u:p:q@[2001:db8::1]:3306/s",
      {
        conn_type: "mysql",
        login: "u",
        password: "p:q",
        host: "2001:db8::1",
        port: 3306,
        schema: "s",
      },
    ],
    [
      '{"conn_type": "ftp", "host": "h", "port": "21", "extra": {"passive": true}}',
      { conn_type: "ftp", host: "h", port: 21, extra: '{"passive":true}' },
    ],
  ])("is read as Airflow reads %s", (text, fields) => {
    expect(readConnection("c", text)).toEqual({ ok: true, value: { conn_id: "c", ...fields } });
  });

  test.each([
    "just text",
    "postgres://h:99999/s",
    '{"conn_type": 3}',
    "postgres://u%zz@h/s",
    '{"port": "x"}',
  ])("is refused with a sentence: %s", (text) => {
    const read = readConnection("c", text);
    expect(read.ok ? "" : read.problem).not.toBe("");
  });
});

test("each format of a file gives the same connections", () => {
  const uri = "postgres://u:p@h:5432/s";
  const value = {
    conn_id: "db",
    conn_type: "postgres",
    login: "u",
    password: "p",
    host: "h",
    port: 5432,
    schema: "s",
  };
  for (const file of [
    { name: "c.json", text: JSON.stringify({ db: uri }) },
    {
      name: "c.json",
      text: JSON.stringify({
        db: {
          conn_type: "postgres",
          login: "u",
          password: "p",
          host: "h",
          port: 5432,
          schema: "s",
        },
      }),
    },
    { name: "c.yaml", text: `db:\n  - ${uri}\n` },
    { name: "c.env", text: `# mine\n\ndb="${uri}"\n` },
  ])
    expect(readConnections(file)).toEqual({ ok: true, value: new Map([["db", value]]) });
});

test("a file says its own name and line when it is wrong", () => {
  expect(readConnections({ name: "c.env", text: "# ok\nnonsense\n" })).toEqual({
    ok: false,
    problem: "c.env:2: must be NAME=value",
  });
  expect(readConnections({ name: "c.txt", text: "" }).ok).toBe(false);
  expect(readConnections({ name: "c.json", text: "[1]" })).toEqual({
    ok: false,
    problem: "c.json: must be a map from names to values",
  });
  expect(readVariables({ name: "v.json", text: "{" }).ok).toBe(false);
});

test("a variable that is no text is kept as JSON; descriptions of an export are left out", () => {
  const text = JSON.stringify({ a: "x", b: { c: [1] }, d: { value: "y", description: "why" } });
  expect(readVariables({ name: "v.json", text })).toEqual({
    ok: true,
    value: new Map([
      ["a", "x"],
      ["b", '{"c":[1]}'],
      ["d", "y"],
    ]),
  });
});

test("what the shell holds for Airflow is found", () => {
  const things = readEnvironmentThings({
    AIRFLOW_CONN_MY_DB: "sqlite:///x",
    AIRFLOW_VAR_WHO: "Ada",
    AIRFLOW_CONN_BAD: "bad",
    PATH: "/bin",
  });
  expect([...things.connections.keys()]).toEqual(["my_db"]);
  expect(things.variables).toEqual(new Map([["who", "Ada"]]));
});
