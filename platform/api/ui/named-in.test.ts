import { expect, test } from "vitest";
import { targetOf } from "./connection-target.ts";
import { lineNaming } from "./named-in.ts";

test("a name counts where it is a whole quoted text, a YAML value or a template's word", () => {
  const at = (text: string, kind: "conn" | "var" | "pool" = "conn", name = "warehouse") =>
    lineNaming(text, kind, name);
  expect(at('a = 1\nhook = PostgresHook("warehouse")')).toBe(2);
  expect(at("x\n\n\nconn_id: warehouse  # main\n")).toBe(4);
  expect(at("- pool: warehouse", "pool")).toBe(1);
  expect(at("sql = '{{ conn.warehouse.host }}'")).toBe(1);
  expect(at("'{{ var.value.warehouse }}'", "var")).toBe(1);
  expect(at("'{{ var.value.warehouse_two }}'", "var")).toBeUndefined();
  expect(at("'{{ var.value.warehouse }}'", "conn")).toBeUndefined();
  expect(at('"warehouse_two" # the warehouse')).toBeUndefined();
  expect(at('Variable.get("a.b*c")', "var", "a.b*c")).toBe(1);
  expect(at('Variable.get("aXbXc")', "var", "a.b*c")).toBeUndefined();
});

test("where a connection leads to: its host and port, an address as host, or the usual port of its type", () => {
  const of = (
    conn_type: string,
    host: string | null,
    port: number | null = null,
    schema: string | null = null,
  ) => targetOf({ conn_type, host, port, schema });
  const to = (host: string, port: number, tls = false) => ({ target: { host, port, tls } });
  expect(of("postgres", "db.example.org")).toEqual(to("db.example.org", 5432));
  expect(of("postgres", "db.example.org", 6000)).toEqual(to("db.example.org", 6000));
  expect(of("http", "https://api.example.org/v1")).toEqual(to("api.example.org", 443, true));
  expect(of("http", "http://api.example.org:8080/v1")).toEqual(to("api.example.org", 8080));
  expect(of("http", "api.example.org", null, "https")).toEqual(to("api.example.org", 443, true));
  expect(of("http", "http://user:secret@api.example.org")).toEqual(to("api.example.org", 80));
  expect(of("redis", "127.0.0.1", 6380)).toEqual(to("127.0.0.1", 6380, true));
  expect(of("generic", "[fd00::1]:22")).toEqual(to("fd00::1", 22));
  expect(of("postgres", null)).toHaveProperty("problem");
  expect(of("generic", "somewhere")).toHaveProperty("problem");
  expect(of("http", "ex ample.org")).toHaveProperty("problem");
  expect(of("http", "<img>")).toHaveProperty("problem");
});
