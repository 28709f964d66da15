import { expect, test } from "vitest";
import { readRef, readRepositoryRef, refText } from "./read-ref.ts";

test("a name is read down to the mapped instance and written back the same", () => {
  const text = "acme/orders_etl/scheduled__2026-01-01T00:00:00+00:00/load.clean[3]";
  const read = readRef(text, "tenant", "task");
  expect(read).toEqual({
    ok: true,
    value: {
      tenant: "acme",
      dag: "orders_etl",
      run: "scheduled__2026-01-01T00:00:00+00:00",
      task: "load.clean",
      map_index: 3,
    },
  });
  expect(read.ok && refText(read.value)).toBe(text);
});

test.each([
  ["acme", '"acme" is not the name of a dag: write tenant/dag'],
  ["acme/", '"acme/" has an empty dag_id: write tenant/dag'],
  ["acme/a/b", '"acme/a/b" is not the name of a dag: write tenant/dag'],
  ["Acme/a", '"Acme" in "Acme/a": tenant must be lower-case letters'],
  ["acme/a b", '"a b" in "acme/a b": dag_id must be letters'],
  ["acme/..", '".." in "acme/..": dag_id must be letters'],
])("%s is refused, naming the part and the rule", (text, message) => {
  const read = readRef(text, "dag");
  expect(read.ok ? "" : read.problem).toContain(message);
});

test("an index without digits is no index", () => {
  expect(readRef("acme/d/r/t[x]", "task").ok).toBe(false);
});

test("a repository's name needs both parts where one repository is meant", () => {
  expect(readRepositoryRef("acme/pipelines", true)).toEqual({
    ok: true,
    value: { tenant: "acme", repository: "pipelines" },
  });
  expect(readRepositoryRef("acme", false)).toEqual({ ok: true, value: { tenant: "acme" } });
  expect(readRepositoryRef("acme", true).ok).toBe(false);
  expect(readRepositoryRef("acme/a/b", false).ok).toBe(false);
});
