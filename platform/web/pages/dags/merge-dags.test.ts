import { expect, test } from "vitest";
import type { DagIndex } from "../../../api/ui/dag-index.ts";
import { mergeDags } from "./merge-dags.ts";

const index = (at: string, ...ids: readonly string[]): DagIndex => ({
  at,
  complete: true,
  dags: ids.map((dag_id) => ({ dag_id, display_name: at }) as DagIndex["dags"][number]),
});
const told = (merged: DagIndex): string[] =>
  merged.dags.map(({ dag_id, display_name }) => `${dag_id} ${display_name}`);

test("what was asked for is replaced where it stands, what is gone leaves, what is new comes", () => {
  const old = index("old", "a", "b", "c");
  const merged = mergeDags(old, ["b", "c", "d"], index("new", "b", "d"));
  expect(told(merged)).toEqual(["a old", "b new", "d new"]);
  expect(merged.at).toBe("new");
  // A row that did not change is the same object: it is not drawn again.
  expect(merged.dags[0]).toBe(old.dags[0]);
});
