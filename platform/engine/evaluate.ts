import type { Counts, InstanceRow } from "../model/run.ts";
import { isFinished } from "../model/states.ts";
import type { CompiledTask } from "./compile-dag.ts";
import { type Draft, type Pending, type Unseen, unseen } from "./draft.ts";
import { expandAll, expansionName, lengthOf, revise } from "./mapping.ts";
import { plus } from "./recount.ts";
import { crossed, noCounts, type Verdict, verdictOf } from "./trigger-rule.ts";
import { sharesGroup } from "./wish.ts";

/**
 * Looks at everything that the changes so far may have made ready, in topological order: at each task all
 * that happened above it is known, so that the order in which answers arrived does not show.
 */
export function sweep(draft: Draft): void {
  for (let next = draft.nextPending(); next; next = draft.nextPending()) {
    const { task, pending } = next;
    for (const { map_index } of rowsToLookAt(draft, task, pending)) {
      // Read again: looking at one index may have removed or expanded the others.
      const row = draft.instance(task.id, map_index);
      if (row !== unseen && row?.state === null) look(draft, task, row);
    }
  }
}

function rowsToLookAt(draft: Draft, task: CompiledTask, pending: Pending): readonly InstanceRow[] {
  const indexes = new Set(pending.indexes);
  let all = pending.all;
  for (const [scope, before] of pending.before) {
    const after = draft.counts(task.id, scope);
    if (after === unseen || !crossed(before, after)) continue;
    if (scope >= 0) indexes.add(scope);
    else all = true;
  }
  if (all) {
    const rows = draft.allOf(task.id);
    if (rows !== unseen) return rows;
    // What judging them takes, asked for together with them.
    draft.wish.evaluation(task, -1);
    if (task.hasScopedUpstream) draft.wish.countersOf(task.id);
    return [];
  }
  return [...indexes].flatMap((index) => {
    const row = draft.instance(task.id, index);
    if (row === unseen) draft.wish.evaluation(task, index);
    return row === unseen || !row ? [] : [row];
  });
}

/** Brings one waiting instance where its upstreams want it. */
function look(draft: Draft, task: CompiledTask, row: InstanceRow): void {
  const verdict = judge(draft, task, row);
  if (verdict === unseen || verdict === "wait") return;
  if (verdict === "run") proceed(draft, task, row);
  else draft.setState(row, verdict);
}

/**
 * Airflow's dependencies of an instance, in a fixed order: what a branch said of it, what it maps over, its
 * setups, its trigger rule, its own past. Some of them give it a state instead of letting it wait.
 */
function judge(draft: Draft, task: CompiledTask, row: InstanceRow): Verdict | Unseen {
  const skipped = wasSkipped(draft, task, row.map_index);
  if (skipped === unseen) return unseen;
  if (skipped) return "skipped";
  const source = sourceVerdict(draft, task);
  if (source !== "run") return source;
  const rule = ruleVerdict(draft, task, row.map_index);
  if (rule !== "run") return rule;
  return pastVerdict(draft, task);
}

function wasSkipped(draft: Draft, task: CompiledTask, mapIndex: number): boolean | Unseen {
  for (const decider of task.deciders) {
    const index = sharesGroup(draft.dag, task, decider) ? mapIndex : -1;
    const said = draft.skipOf(decider, index);
    if (said === unseen) return unseen;
    if (said.includes(task.id)) return true;
  }
  return false;
}

/** Only a source that was never expanded can fail or be skipped as a whole. */
function sourceVerdict(draft: Draft, task: CompiledTask): Verdict | Unseen {
  let verdict: Verdict = "run";
  for (const source of task.mapSources) {
    const row = draft.instance(source, -1);
    if (row === unseen) return unseen;
    if (!row || !isFinished(row.state) || row.state === "success") continue;
    if (row.state === "skipped") verdict = verdict === "run" ? "skipped" : verdict;
    else verdict = "upstream_failed";
  }
  return verdict;
}

function ruleVerdict(draft: Draft, task: CompiledTask, mapIndex: number): Verdict | Unseen {
  if (task.upstream.length === 0 || task.spec.trigger_rule === "always") return "run";
  const gates = task.spec.is_teardown ? "run" : gateVerdict(draft, task, mapIndex);
  if (gates !== "run" && gates !== "wait") return gates;
  const counts = countsFor(draft, task, mapIndex);
  if (counts === unseen) return unseen;
  const verdict = verdictOf(task.spec.trigger_rule, draft.dag.level, counts, mapIndex);
  return verdict === "run" ? gates : verdict;
}

function countsFor(draft: Draft, task: CompiledTask, mapIndex: number): Counts | Unseen {
  const shared = draft.counts(task.id, -1);
  if (shared === unseen || !task.hasScopedUpstream || mapIndex < 0) return shared;
  const own = draft.counts(task.id, mapIndex);
  return own === unseen ? unseen : plus(shared, own, 1);
}

/** Setups further up must have succeeded; a failed or skipped one hands its fate on at once. */
function gateVerdict(draft: Draft, task: CompiledTask, mapIndex: number): Verdict | Unseen {
  if (task.gates.length === 0) return "run";
  let counts = noCounts;
  for (const gate of task.gates) {
    const one = sharesGroup(draft.dag, task, gate)
      ? draft.instance(gate, mapIndex)
      : draft.allOf(gate);
    if (one === unseen) return unseen;
    for (const row of one === undefined ? [] : Array.isArray(one) ? one : [one])
      counts = plus(counts, gateShare(row), 1);
  }
  if (counts.total === 0) return "run";
  return verdictOf("all_success", draft.dag.level, counts, mapIndex);
}

const gateShare = (row: InstanceRow): Counts => ({
  ...noCounts,
  total: 1,
  success: Number(row.state === "success"),
  failed: Number(row.state === "failed"),
  upstream_failed: Number(row.state === "upstream_failed"),
  skipped: Number(row.state === "skipped"),
  removed: Number(row.state === "removed"),
});

/** depends_on_past: the task was well in the run before; wait_for_downstream: so were its direct downstreams. */
function pastVerdict(draft: Draft, task: CompiledTask): Verdict | Unseen {
  if (!task.spec.depends_on_past && !task.spec.wait_for_downstream) return "run";
  const past = draft.pastOf(task.id);
  if (past === unseen) return unseen;
  if (!past || past.first) return "run";
  const well = (state: string | null): boolean => state === "success" || state === "skipped";
  if (past.states.length === 0 || !past.states.every(well)) return "wait";
  return !task.spec.wait_for_downstream || past.downstream_states.every(well) ? "run" : "wait";
}

/** Its dependencies are met: expand it if it is a placeholder, else it is ready. */
function proceed(draft: Draft, task: CompiledTask, row: InstanceRow): void {
  if (!task.map) return start(draft, task, row);
  const length = lengthOf(draft, task.map);
  if (length === unseen || length === "waiting") return;
  if (length === "unresolvable") {
    draft.setState(row, "upstream_failed", { reason: "what it maps over has no length" });
    return;
  }
  if (length > draft.dag.mapLengthMax) {
    draft.setState(row, "failed", {
      reason: `it would map over ${length} elements; the limit is ${draft.dag.mapLengthMax}`,
    });
    return;
  }
  const together = task.mappedGroup
    ? (draft.dag.mappedGroups.get(task.mappedGroup)?.tasks.length ?? 1)
    : 1;
  if (draft.unfinished + length * together > instancesMax) {
    draft.setState(row, "failed", {
      reason: `with ${length * together} more instances the run would have more than ${instancesMax}`,
    });
    return;
  }
  if (row.map_index < 0) {
    if (length === 0) draft.setState(row, "skipped");
    // Every index is looked at again: the new ones are pending at this very task.
    else expandAll(draft, task, length);
    return;
  }
  const expanded = draft.length("expanded", expansionName(task));
  if (expanded === unseen) return;
  // The indexes that stay are pending again, with the length now right.
  if (expanded !== undefined && expanded !== length) revise(draft, task, length);
  else start(draft, task, row);
}

/** Unfinished instances of one run: a tenant's map must not flood the tables. */
const instancesMax = 200_000;

/** A new try. An inline task needs nobody to run it: it has succeeded, and that travels on in this turn. */
function start(draft: Draft, task: CompiledTask, row: InstanceRow): void {
  draft.setState(row, task.isInline ? "success" : "scheduled", { try_number: row.try_number + 1 });
}
