/** The run's answer as the Gantt reads it, and what a change told live does to it before the next answer comes. */
import type { RunScreen, Structure } from "../../../api/ui/run-screen.ts";
import type { GanttData } from "../../layouts/gantt.ts";
import type { Change } from "../../live/stream.ts";

/** An answer whose tasks are known: their order is sent once per version. */
export type RunData = Omit<RunScreen, "structure"> & { readonly structure: Structure | undefined };

export function toGantt(data: RunData): GanttData {
  const { structure, more_tasks, states, instances, attempts } = data;
  const extra = more_tasks.map(() => -1);
  return {
    tasks: [...(structure?.tasks ?? []), ...more_tasks],
    names: [...(structure?.names ?? []), ...more_tasks],
    downstream: [...(structure?.downstream ?? []), ...more_tasks.map(() => [])],
    group: [...(structure?.group ?? []), ...extra],
    groups: structure?.groups ?? [],
    parent: structure?.parent ?? [],
    instances: {
      ...instances,
      state: instances.state.map((at) => states[at] ?? null),
      labels: new Map(instances.labels),
    },
    attempts,
  };
}

/** Place of an instance; −1: there is none. `task`: its id. */
export function placeOfInstance(data: RunData, taskId: string, mapIndex: number): number {
  const own = data.structure?.tasks.indexOf(taskId) ?? -1;
  const extra = data.more_tasks.indexOf(taskId);
  if (own < 0 && extra < 0) return -1;
  const task = own >= 0 ? own : (data.structure?.tasks.length ?? 0) + extra;
  const { instances } = data;
  for (let place = 0; place < instances.task.length; place += 1)
    if (instances.task[place] === task && instances.map[place] === mapIndex) return place;
  return -1;
}

export const taskIdOf = (data: RunData, place: number): string => {
  const task = data.instances.task[place] ?? -1;
  const own = data.structure?.tasks ?? [];
  return own[task] ?? data.more_tasks[task - own.length] ?? "";
};

const isFinal = (state: string | null): boolean =>
  state !== null && ["success", "failed", "skipped", "upstream_failed", "removed"].includes(state);

/**
 * States at once, times as far as a change tells them; the next answer has them exactly. A change about an instance
 * that is not there (a mapped task expanded) waits for that answer.
 */
export function withChanges(data: RunData, changes: readonly Change[]): RunData {
  const mine = changes.filter(
    ({ dag_id, run_id }) => dag_id === data.run.dag_id && run_id === data.run.run_id,
  );
  if (mine.length === 0) return data;
  const states = [...data.states];
  const { instances, attempts } = data;
  const next = {
    ...instances,
    state: [...instances.state],
    try: [...instances.try],
    scheduled: [...instances.scheduled],
    started: [...instances.started],
    ended: [...instances.ended],
  };
  const tries = { ...attempts, started: [...attempts.started], ended: [...attempts.ended] };
  let run = data.run;
  for (const change of mine) {
    const at = Date.parse(change.at);
    if (change.task_id === "") {
      if (change.to_state === null) continue;
      const over = change.to_state === "success" || change.to_state === "failed";
      run = {
        ...run,
        state: change.to_state,
        started_at: change.to_state === "running" ? (run.started_at ?? change.at) : run.started_at,
        ended_at: over ? change.at : null,
      };
      continue;
    }
    const place = placeOfInstance(data, change.task_id, change.map_index);
    // An answer that came meanwhile may know more than a change that was on its way.
    if (place < 0 || change.try_number < (next.try[place] ?? 0)) continue;
    let state = states.indexOf(change.to_state);
    if (state < 0) state = states.push(change.to_state) - 1;
    const time = at - data.base;
    next.state[place] = state;
    next.try[place] = change.try_number;
    if (change.to_state === "scheduled") next.scheduled[place] = time;
    if (change.to_state === "running") next.started[place] = time;
    next.ended[place] = isFinal(change.to_state) ? time : null;
    const last = attempts.instance.lastIndexOf(place);
    if (last < 0 || attempts.try[last] !== change.try_number) continue;
    if (change.to_state === "running") tries.started[last] ??= time;
    else if (isFinal(change.to_state) || change.to_state === "up_for_retry")
      tries.ended[last] ??= time;
  }
  return { ...data, run, states, instances: next, attempts: tries };
}

export type Try = {
  readonly number: number;
  readonly outcome: string | null;
  readonly started: number | null;
  readonly ended: number | null;
};

/** The tries of an instance, oldest first; one that never had an attempt has none. */
export function triesOf({ attempts }: RunData, place: number): readonly Try[] {
  const tries = new Map<number, Try>();
  for (const [at, instance] of attempts.instance.entries()) {
    if (instance !== place) continue;
    const number = attempts.try[at] ?? 0;
    tries.set(number, {
      number,
      outcome: attempts.outcome[at] ?? null,
      started: tries.get(number)?.started ?? attempts.started[at] ?? null,
      ended: attempts.ended[at] ?? null,
    });
  }
  return [...tries.values()].toSorted((a, b) => a.number - b.number);
}
