import type { MapSource, MapSpec } from "../model/dag-spec.ts";
import type { TaskId } from "../model/ids.ts";
import { type InstanceRow, pushedName } from "../model/run.ts";
import { isFinished } from "../model/states.ts";
import type { CompiledTask } from "./compile-dag.ts";
import { type Draft, type Unseen, unseen } from "./draft.ts";
import { doneOf } from "./trigger-rule.ts";
import { ownScope } from "./wish.ts";

/** `waiting`: a source has not ended. `unresolvable`: it has, and pushed nothing that has a length. */
export type Length = number | "waiting" | "unresolvable" | Unseen;

/** How many indexes a mapped task or group will have. */
export function lengthOf(draft: Draft, map: MapSpec): Length {
  const lengths = map.sources.map((source) => sourceLength(draft, source));
  if (map.kind === "list") return lengths[0] ?? "unresolvable";
  return combine(lengths, (numbers) => numbers.reduce((product, n) => product * n, 1));
}

function sourceLength(draft: Draft, source: MapSource): Length {
  switch (source.kind) {
    case "literal":
      return source.length;
    case "task":
      return resultLength(draft, source);
    case "zip":
      return combine(
        source.of.map((one) => sourceLength(draft, one)),
        (numbers) => (source.longest ? Math.max(0, ...numbers) : Math.min(...numbers)),
      );
    case "concat":
      return combine(
        source.of.map((one) => sourceLength(draft, one)),
        (numbers) => numbers.reduce((sum, n) => sum + n, 0),
      );
  }
}

/** Of an unmapped task what it pushed; of a mapped one how many of its instances succeeded, once all have ended. */
function resultLength(
  draft: Draft,
  { task_id: id, key }: Extract<MapSource, { kind: "task" }>,
): Length {
  const task = draft.dag.tasks.get(id);
  if (!task) return "unresolvable";
  if (task.map) {
    const own = draft.counts(id, ownScope);
    if (own === unseen) return unseen;
    if (own.total === 0) return "unresolvable";
    return doneOf(own) < own.total ? "waiting" : own.success;
  }
  const row = draft.instance(id, -1);
  if (row === unseen) return unseen;
  if (!row) return "unresolvable";
  if (!isFinished(row.state)) return "waiting";
  if (row.state !== "success") return "unresolvable";
  return draft.length("pushed", pushedName(id, key)) ?? "unresolvable";
}

function combine(lengths: readonly Length[], how: (numbers: readonly number[]) => number): Length {
  if (lengths.includes(unseen)) return unseen;
  if (lengths.includes("unresolvable")) return "unresolvable";
  if (lengths.includes("waiting")) return "waiting";
  return how(lengths.filter((length) => typeof length === "number"));
}

/** The name under which the expanded length is kept: the mapped group's, or the task's own. */
export const expansionName = (task: CompiledTask): string => task.mappedGroup ?? task.id;

/** The tasks that expand together with this one. */
const expandTogether = (draft: Draft, task: CompiledTask): readonly TaskId[] =>
  task.mappedGroup === undefined
    ? [task.id]
    : (draft.dag.mappedGroups.get(task.mappedGroup)?.tasks ?? []);

/**
 * First expansion, to n ≥ 1 indexes: of the task, or of all tasks of its group at once, so that index i of
 * one always finds index i of the other. False if rows are missing.
 */
export function expandAll(draft: Draft, task: CompiledTask, n: number): boolean {
  const together = expandTogether(draft, task).flatMap((id) => {
    const one = draft.dag.tasks.get(id);
    return one ? [{ one, placeholder: draft.instance(id, -1) }] : [];
  });
  // The counters of everything downstream move as well: ask for all that is missing at once.
  for (const { one } of together) for (const edge of one.downstream) draft.counts(edge.id, -1);
  if (!draft.wish.isEmpty || together.some(({ placeholder }) => placeholder === unseen))
    return false;
  for (const { one, placeholder } of together) {
    if (placeholder !== unseen && placeholder) draft.expand(one, placeholder, n);
    draft.lookAtAll(one);
  }
  draft.setLength({ kind: "expanded", name: expansionName(task), length: n });
  return true;
}

/**
 * A cleared source answered with another length: missing indexes are created, removed ones come back,
 * those too many become removed.
 */
export function revise(draft: Draft, task: CompiledTask, n: number): boolean {
  const together = expandTogether(draft, task).flatMap((id) => {
    const one = draft.dag.tasks.get(id);
    return one ? [{ one, rows: draft.allOf(id) }] : [];
  });
  const before = draft.length("expanded", expansionName(task));
  if (before === unseen || together.some(({ rows }) => rows === unseen)) return false;
  for (const { one, rows } of together) {
    if (rows === unseen || rows.length === 0) continue;
    const have = new Map<number, InstanceRow>(rows.map((row) => [row.map_index, row]));
    for (const row of rows)
      if (row.map_index >= n && row.state !== "removed")
        draft.setState(row, "removed", { stop: isInFlight(row) });
    for (let i = 0; i < n; i++) {
      const row = have.get(i);
      if (!row) draft.create(one, i);
      else if (row.state === "removed") draft.setState(row, null);
    }
    draft.lookAtAll(one);
  }
  draft.setLength({ kind: "expanded", name: expansionName(task), length: n });
  return true;
}

/** An attempt of it is admitted or running: whoever changes it must end that attempt. */
export const isInFlight = (row: InstanceRow): boolean =>
  row.state === "queued" || row.state === "running" || row.state === "restarting";
