import { expect, test } from "vitest";
import { diffVersions } from "./diff-versions.ts";

const at = (dag_id: string, hash: string, file = `dags/${dag_id}.py`) => ({ dag_id, hash, file });

test("each DAG is new, changed, unchanged, removed or kept, and a bad file takes nothing down", () => {
  const diff = diffVersions(
    [
      at("same", "1"),
      at("other", "1"),
      at("gone", "1"),
      at("broken", "1"),
      at("moved", "1", "dags/old.py"),
    ],
    [at("same", "1"), at("other", "2"), at("fresh", "1"), at("moved", "1", "dags/new.py")],
    new Set(["dags/broken.py"]),
  );
  const ids = Object.fromEntries(
    Object.entries(diff).map(([kind, dags]) => [
      kind,
      dags.map((d: { dag_id: string }) => d.dag_id),
    ]),
  );
  expect(ids).toEqual({
    new: ["fresh"],
    changed: ["other"],
    unchanged: ["same", "moved"],
    removed: ["gone"],
    kept: ["broken"],
  });
});
