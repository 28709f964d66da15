import type { TaskId } from "../model/ids.ts";
import {
  type AttemptRef,
  type CounterRow,
  type InstanceKey,
  type InstanceRow,
  pushedName,
  type RunDecisions,
  type RunEvent,
  type RunNeed,
} from "../model/run.ts";
import { isFinished, type TaskState } from "../model/states.ts";
import { type CompiledDag, type CompiledTask, reachable } from "./compile-dag.ts";
import { Draft, unseen } from "./draft.ts";
import { sweep } from "./evaluate.ts";
import { isInFlight } from "./mapping.ts";
import { recount } from "./recount.ts";
import { retryDelayMs } from "./retry-delay.ts";
import type { RunView } from "./view.ts";

export type Turn =
  /** Load this as well, put it into the view with `seen`, ask again with the same events. */
  | { readonly kind: "more"; readonly need: RunNeed }
  | { readonly kind: "decided"; readonly decisions: RunDecisions };

/**
 * What follows from these events. All of them are applied before any waiting instance is looked at, so
 * that within a batch a failure beats a skip whichever came first. An event that no longer fits (another
 * try, another state) changes nothing. `nowMs` is the keeper's clock, epoch milliseconds.
 */
export function decide(
  dag: CompiledDag,
  view: RunView,
  events: readonly RunEvent[],
  nowMs: number,
): Turn {
  const draft = new Draft(dag, view, nowMs);
  for (const event of events) applyEvent(draft, event);
  for (const id of draft.toSkip) skipWaiting(draft, id);
  if (draft.state === "running") {
    sweep(draft);
    endIfDone(draft);
    if (events.some((event) => event.kind === "deadlock_check")) endIfStuck(draft);
  }
  return draft.wish.isEmpty
    ? { kind: "decided", decisions: draft.decisions() }
    : { kind: "more", need: draft.wish.need() };
}

function applyEvent(draft: Draft, event: RunEvent): void {
  switch (event.kind) {
    case "run_started":
      return startRun(draft);
    case "attempt_succeeded":
      return withAttempt(draft, event, (task, row) => succeed(draft, task, row, event));
    case "attempt_failed":
      return withAttempt(draft, event, (task, row) => fail(draft, task, row, event));
    case "attempt_skipped":
      return withAttempt(draft, event, (_task, row) => void draft.setState(row, "skipped"));
    case "attempt_rescheduled":
      return withAttempt(draft, event, (_task, row) => {
        draft.setState(row, "up_for_reschedule");
        setTimer(draft, row, "reschedule", event.at_ms);
      });
    case "attempt_deferred":
      return withAttempt(draft, event, (_task, row) => void draft.setState(row, "deferred"));
    case "attempt_stopped":
      return withAttempt(draft, event, () => {
        // Whoever asked it to stop has said what state it is in.
      });
    case "timer_fired":
      return fireTimer(draft, event);
    case "instances_cleared":
      return clearInstances(draft, event.keys);
    case "instances_marked":
      return markInstances(draft, event.keys, event.state);
    case "run_marked":
      return markRun(draft, event.state, event.reason);
    case "run_timed_out":
      return timeOut(draft);
    case "past_changed":
      for (const id of event.task_ids) lookAtAll(draft, id);
      return;
    case "dag_changed":
      return changeDag(draft);
    case "deadlock_check":
      if (draft.view.everything) recountAll(draft);
      else draft.wish.everything = true;
      return;
  }
}

/** The instance, if this very try is in flight. A restarting one begins anew, whatever its old attempt says. */
function withAttempt(
  draft: Draft,
  ref: AttemptRef,
  then: (task: CompiledTask, row: InstanceRow) => void,
): void {
  const task = draft.dag.tasks.get(ref.task_id);
  const row = draft.instance(ref.task_id, ref.map_index);
  if (!task || row === unseen || !row || row.try_number !== ref.try_number) return;
  if (row.state === "restarting") {
    draft.setState(row, null);
    draft.lookAt(task, row.map_index);
  } else if (row.state === "running" || row.state === "queued") then(task, row);
}

// ---- the run begins -----------------------------------------------------------------------------------

function startRun(draft: Draft): void {
  if (draft.state !== "queued") return;
  draft.state = "running";
  if (draft.hasInstances) {
    if (!draft.view.everything) {
      draft.wish.everything = true;
      return;
    }
    for (const task of draft.dag.order) draft.lookAtAll(task);
    return;
  }
  draft.hasInstances = true;
  createMissing(draft, new Set());
  recountAll(draft);
}

/** Rows of all tasks that have none; what maps over literals alone is expanded at once. */
function createMissing(draft: Draft, present: ReadonlySet<TaskId>): void {
  const rows: InstanceRow[] = [];
  const named = new Set<string>();
  for (const task of draft.dag.order) {
    if (present.has(task.id) || !isInSeason(draft, task)) continue;
    const length = literalLength(task);
    const isShort = length > 0 && length <= draft.dag.mapLengthMax;
    const indexes = isShort ? Array.from({ length }, (_, i) => i) : [-1];
    for (const map_index of indexes)
      rows.push({
        task_id: task.id,
        map_index,
        state: null,
        try_number: 0,
        max_tries: task.spec.retries,
      });
    const name = task.mappedGroup ?? task.id;
    if (isShort && !named.has(name)) draft.setLength({ kind: "expanded", name, length });
    named.add(name);
  }
  draft.createAll(rows);
}

/** A task's own start_date and end_date bound the runs it takes part in; a backfill asks for all. */
function isInSeason(draft: Draft, task: CompiledTask): boolean {
  const { logical_date_ms: logical, run_type } = draft.view.run;
  if (logical === undefined || run_type === "backfill") return true;
  const { start_date, end_date } = task.spec;
  if (start_date !== undefined && Date.parse(start_date) > logical) return false;
  return !(end_date !== undefined && Date.parse(end_date) < logical);
}

function literalLength(task: CompiledTask): number {
  if (!task.map || task.mapSources.length > 0) return 0;
  const lengths = task.map.sources.map((source) => (source.kind === "literal" ? source.length : 0));
  return task.map.kind === "list" ? (lengths[0] ?? 0) : lengths.reduce((all, one) => all * one, 1);
}

/** Counts everything anew and looks at everything that waits. */
function recountAll(draft: Draft): void {
  draft.replaceCounters(recount(draft.dag, draft.everyInstance()));
  for (const task of draft.dag.order) draft.lookAtAll(task);
}

// ---- an attempt ends ----------------------------------------------------------------------------------

function succeed(
  draft: Draft,
  task: CompiledTask,
  row: InstanceRow,
  event: Extract<RunEvent, { kind: "attempt_succeeded" }>,
): void {
  for (const key of lengthKeysOf(task)) {
    const length = lengthUnder(event, key);
    if (length === undefined) return failForLength(draft, task, row, key);
    draft.setLength({ kind: "pushed", name: pushedName(task.id, key), length });
  }
  draft.setState(row, "success");
  if (event.skip) skipDownstream(draft, task, row, event.skip);
}

const lengthKeysOf = (task: CompiledTask): readonly string[] =>
  task.pushesLength ? ["return_value", ...task.pushesKeys] : task.pushesKeys;

function lengthUnder(
  { mapped_length, mapped_lengths: others }: Extract<RunEvent, { kind: "attempt_succeeded" }>,
  key: string,
): number | undefined {
  if (key === "return_value") return mapped_length;
  return others !== undefined && Object.hasOwn(others, key) ? others[key] : undefined;
}

function failForLength(draft: Draft, task: CompiledTask, row: InstanceRow, key: string): void {
  const by = task.mappedBy[0]?.id ?? "another task";
  const what =
    key === "return_value"
      ? "it returned nothing that has a length"
      : `it pushed nothing that has a length under the key "${key}"`;
  fail(draft, task, row, { retryable: true, reason: `${what}, and ${by} maps over it` });
}

/**
 * A branch names what it follows: its other direct downstreams are skipped, unless they also come after
 * something followed. A short circuit names what it skips, never a teardown. The decision is kept, and read
 * again whenever a direct downstream is looked at.
 */
function skipDownstream(
  draft: Draft,
  task: CompiledTask,
  row: InstanceRow,
  said: { readonly followed?: readonly string[]; readonly skipped?: readonly string[] },
): void {
  const skipped = said.skipped
    ? skippedByName(draft.dag, task, said.skipped)
    : notFollowed(draft.dag, task, said.followed ?? []);
  draft.setSkip(row, skipped);
  for (const id of skipped) {
    const other = draft.dag.tasks.get(id);
    if (!other) continue;
    if (row.map_index >= 0) {
      // One index of many: only the same index of its group is touched, by the kept decision.
      if (task.mappedGroup !== undefined && other.mappedGroup === task.mappedGroup)
        draft.lookAt(other, row.map_index);
      continue;
    }
    draft.toSkip.add(id);
  }
}

/** After all events: else an instance that one of them makes wait would be skipped or not by order of arrival. */
function skipWaiting(draft: Draft, id: TaskId): void {
  const rows = draft.allOf(id);
  if (rows !== unseen) {
    for (const row of rows) if (row.state === null) draft.setState(row, "skipped");
    return;
  }
  const task = draft.dag.tasks.get(id);
  if (!task) return;
  draft.wish.evaluation(task, -1);
  draft.wish.closureOf(task, -1);
}

const downstreamIds = (dag: CompiledDag, id: TaskId): readonly TaskId[] =>
  dag.tasks.get(id)?.downstream.map((edge) => edge.id) ?? [];

function notFollowed(dag: CompiledDag, task: CompiledTask, followed: readonly string[]): TaskId[] {
  const named = followed.flatMap(
    (name): readonly TaskId[] => groupRoots(dag, name) ?? [name as TaskId],
  );
  const kept = reachable(named, (id) => downstreamIds(dag, id));
  for (const id of named) kept.add(id);
  return task.downstream.map((edge) => edge.id).filter((id) => !kept.has(id));
}

function groupRoots(dag: CompiledDag, name: string): readonly TaskId[] | undefined {
  const members = dag.groups.get(name);
  if (!members || dag.tasks.has(name as TaskId)) return undefined;
  const inside = new Set(members);
  return members.filter((id) => !dag.tasks.get(id)?.upstream.some((up) => inside.has(up.id)));
}

/** A guest may only skip what comes after the task that decides. */
function skippedByName(dag: CompiledDag, task: CompiledTask, names: readonly string[]): TaskId[] {
  const below = reachable([task.id], (id) => downstreamIds(dag, id));
  return [...new Set(names)]
    .map((name) => name as TaskId)
    .filter((id) => below.has(id) && dag.tasks.get(id)?.spec.is_teardown === false);
}

function fail(
  draft: Draft,
  task: CompiledTask,
  row: InstanceRow,
  how: { readonly retryable: boolean; readonly reason: string },
): void {
  const { reason } = how;
  if (how.retryable && task.spec.retries > 0 && row.try_number <= row.max_tries) {
    draft.setState(row, "up_for_retry", { reason });
    const delayMs = retryDelayMs(task.spec, {
      dag_id: draft.dag.dag_id,
      level: draft.dag.level,
      logical_date_ms: draft.view.run.logical_date_ms,
      try_number: row.try_number,
    });
    return setTimer(draft, row, "retry", draft.nowMs + delayMs);
  }
  draft.setState(row, "failed", { reason });
  if (draft.dag.fail_fast) stopRemaining(draft);
}

/** fail_fast: everything but teardowns ends now. */
function stopRemaining(draft: Draft): void {
  if (!draft.view.everything) {
    draft.wish.everything = true;
    return;
  }
  for (const row of draft.everyInstance()) {
    if (isFinished(row.state) || draft.dag.tasks.get(row.task_id)?.spec.is_teardown) continue;
    const to = row.state === "running" ? "failed" : "skipped";
    draft.setState(row, to, { stop: isInFlight(row), reason: "fail_fast: another task failed" });
  }
}

const setTimer = (
  draft: Draft,
  row: InstanceRow,
  timer: "retry" | "reschedule",
  due_ms: number,
): void => {
  const { task_id, map_index, try_number } = row;
  draft.timers.push({ task_id, map_index, try_number, timer, due_ms });
};

const waitingFor: Readonly<Record<string, TaskState>> = {
  retry: "up_for_retry",
  reschedule: "up_for_reschedule",
  deferral: "deferred",
};

function fireTimer(draft: Draft, event: Extract<RunEvent, { kind: "timer_fired" }>): void {
  const task = draft.dag.tasks.get(event.task_id);
  const row = draft.instance(event.task_id, event.map_index);
  if (!task || row === unseen || !row || row.try_number !== event.try_number) return;
  if (row.state !== waitingFor[event.timer] || draft.state !== "running") return;
  if (event.timer !== "retry") {
    draft.setState(row, "scheduled");
    return;
  }
  // Its upstreams may have been cleared meanwhile: a retry asks its dependencies again.
  draft.setState(row, null);
  draft.lookAt(task, row.map_index);
}

// ---- a person changes it ------------------------------------------------------------------------------

function clearInstances(draft: Draft, keys: readonly InstanceKey[]): void {
  for (const key of keys) {
    const task = draft.dag.tasks.get(key.task_id);
    const row = draft.instance(key.task_id, key.map_index);
    if (!task || row === unseen || !row || row.state === "removed") continue;
    const max_tries = row.try_number + task.spec.retries;
    const stop = isInFlight(row);
    if (task.spec.decides) draft.deleteSkip(row);
    if (row.state === "running" || row.state === "restarting")
      draft.setState(row, "restarting", { max_tries, stop, cleared: true });
    else if (row.state !== null || row.try_number > 0)
      draft.setState(row, null, { max_tries, stop, cleared: true });
    draft.lookAt(task, row.map_index);
  }
  if (draft.state !== "success" && draft.state !== "failed") return;
  if (keys.length === 0) return;
  draft.state = "queued";
  draft.restarted = true;
}

function markInstances(
  draft: Draft,
  keys: readonly InstanceKey[],
  state: "success" | "failed" | "skipped",
): void {
  for (const key of keys) {
    const row = draft.instance(key.task_id, key.map_index);
    if (row === unseen || !row || row.state === "removed") continue;
    draft.setState(row, state, { stop: isInFlight(row), reason: `marked ${state}` });
  }
}

/** Everything is ended but teardowns that have not run: as long as there is one, the run goes on. */
function markRun(draft: Draft, state: "success" | "failed", reason: "marked" | "stopped"): void {
  if (!draft.view.everything) {
    draft.wish.everything = true;
    return;
  }
  const rows = draft.everyInstance();
  const isTeardown = (row: InstanceRow): boolean =>
    draft.dag.tasks.get(row.task_id)?.spec.is_teardown === true;
  const teardownsLeft = rows.some((row) => isTeardown(row) && !isFinished(row.state));
  for (const row of rows) {
    if (isTeardown(row) || row.state === "removed") continue;
    const to =
      state === "success"
        ? "success"
        : isFinished(row.state)
          ? row.state
          : killed(row, teardownsLeft && draft.dag.tasks.get(row.task_id)?.isLeaf === true);
    if (to !== row.state)
      draft.setState(row, to, { stop: isInFlight(row), reason: `run ${reason}` });
  }
  if (teardownsLeft && draft.state === "running") return;
  if (draft.state === state) return;
  draft.state = state;
  draft.ended = reason;
}

const hasBegun: ReadonlySet<TaskState> = new Set<TaskState>([
  "running",
  "restarting",
  "deferred",
  "up_for_reschedule",
]);
/**
 * What had not begun is skipped. While a teardown is left, the leaves decide later how the run ends; Airflow
 * skips them as well, and a run that somebody failed ends in success: here they count as failed.
 */
const killed = (row: InstanceRow, decidesLater: boolean): TaskState =>
  hasBegun.has(row.state) ? "failed" : decidesLater ? "upstream_failed" : "skipped";

function timeOut(draft: Draft): void {
  if (draft.state !== "running") return;
  if (!draft.view.everything) {
    draft.wish.everything = true;
    return;
  }
  for (const row of draft.everyInstance())
    if (!isFinished(row.state))
      draft.setState(row, "skipped", { stop: isInFlight(row), reason: "the run timed out" });
  draft.state = "failed";
  draft.ended = "timed_out";
}

/**
 * Airflow's integrity check against the new version: new tasks appear, unfinished instances of vanished
 * ones are removed, removed ones whose task is back wait again. Then everything is counted anew.
 */
function changeDag(draft: Draft): void {
  if (!draft.hasInstances) return;
  if (!draft.view.everything) {
    draft.wish.everything = true;
    return;
  }
  const present = new Set<TaskId>();
  for (const row of draft.everyInstance()) {
    const task = draft.dag.tasks.get(row.task_id);
    const fits = task !== undefined && (task.map !== undefined || row.map_index < 0);
    if (fits) present.add(row.task_id);
    const expanded = task?.map ? draft.length("expanded", task.mappedGroup ?? task.id) : undefined;
    const isKnown = row.map_index < 0 || (typeof expanded === "number" && row.map_index < expanded);
    if (!fits && !isFinished(row.state)) draft.setState(row, "removed", { stop: isInFlight(row) });
    else if (fits && isKnown && row.state === "removed") draft.setState(row, null);
  }
  createMissing(draft, present);
  recountAll(draft);
}

function lookAtAll(draft: Draft, id: TaskId): void {
  const task = draft.dag.tasks.get(id);
  if (task && draft.hasInstances) draft.lookAtAll(task);
}

// ---- the run ends -------------------------------------------------------------------------------------

function endIfDone(draft: Draft): void {
  if (draft.state !== "running" || !draft.hasInstances || draft.unfinished > 0) return;
  draft.state = draft.failedLeaves > 0 ? "failed" : "success";
  draft.ended = draft.failedLeaves > 0 ? "task_failure" : "success";
}

/**
 * After a recount and a look at everything: what still waits, waits for nothing. Only tasks that wait for
 * an earlier run, and those in flight or with a timer, keep the run alive.
 */
function endIfStuck(draft: Draft): void {
  if (draft.state !== "running" || !draft.view.everything) return;
  for (const row of draft.everyInstance()) {
    if (isFinished(row.state)) continue;
    const task = draft.dag.tasks.get(row.task_id);
    if (row.state !== null || !task) return;
    if (task.spec.depends_on_past || task.spec.wait_for_downstream) return;
  }
  draft.state = "failed";
  draft.ended = "all_tasks_deadlocked";
}

// ---- what the keeper holds afterwards -----------------------------------------------------------------

/** The view after the decisions were written: for keepers that decide again without loading. */
export function apply(view: RunView, decisions: RunDecisions): RunView {
  const instances = new Map(view.instances);
  const touch = (task: TaskId): Map<number, InstanceRow> => {
    const copy = new Map(instances.get(task));
    instances.set(task, copy);
    return copy;
  };
  for (const task of decisions.expanded) {
    const rows = touch(task);
    const placeholder = rows.get(-1);
    rows.delete(-1);
    if (placeholder) rows.set(0, { ...placeholder, map_index: 0 });
  }
  for (const row of decisions.created) touch(row.task_id).set(row.map_index, row);
  for (const { task_id, map_index, to, try_number, max_tries } of decisions.states)
    touch(task_id).set(map_index, { task_id, map_index, state: to, try_number, max_tries });

  const counters = new Map(view.counters);
  for (const row of decisions.counters)
    counters.set(
      row.task_id,
      new Map<number, CounterRow>([...(counters.get(row.task_id) ?? []), [row.scope, row]]),
    );
  const skips = new Map(view.skips);
  for (const row of decisions.skips)
    skips.set(row.task_id, new Map([...(skips.get(row.task_id) ?? []), [row.map_index, row]]));
  for (const key of decisions.skips_deleted) {
    const rows = new Map(skips.get(key.task_id));
    rows.delete(key.map_index);
    skips.set(key.task_id, rows);
  }
  const lengths = (kind: "pushed" | "expanded"): ReadonlyMap<string, number> =>
    new Map([
      ...view[kind],
      ...decisions.lengths
        .filter((row) => row.kind === kind)
        .map((row) => [row.name, row.length] as const),
    ]);
  const { run } = decisions;
  return {
    ...view,
    instances,
    counters,
    skips,
    pushed: lengths("pushed"),
    expanded: lengths("expanded"),
    run: run
      ? {
          ...view.run,
          state: run.state,
          has_instances: run.has_instances,
          unfinished: run.unfinished,
          failed_leaves: run.failed_leaves,
        }
      : view.run,
  };
}
