/** What people do: `platform/runs/deeds.ts`. */

import { plain, statement } from "../recognize.ts";
import { dagKey } from "../tables.ts";
import { byBytes, list, text, time } from "./read.ts";
import { bundle, runAt } from "./runs.ts";

export function deedStatements(): void {
  statement(
    "find runs",
    [
      "select run, run_id from airlock.dag_run where",
      "order by coalesce(logical_date, run_after) limit 1000",
    ],
    plain((s, [tenant, dagId, ids, , from, , to]) => {
      const [first, last] = [time(from ?? null), time(to ?? null)];
      return s
        .all(s.tables.run, dagKey(text(tenant), text(dagId)))
        .filter(
          (run) =>
            (ids === null || list(ids).includes(run.run_id)) &&
            (first === null || runAt(run) >= first) &&
            (last === null || runAt(run) <= last),
        )
        .toSorted((a, b) => runAt(a) - runAt(b))
        .map(({ run, run_id }) => ({ run, run_id }));
    }),
  );
  statement(
    "all instances",
    ["from airlock.task_instance where tenant = ? and run = ? order by task_id, map_index"],
    plain((s, [, run]) =>
      s
        .all(s.tables.instance, text(run))
        .toSorted((a, b) => byBytes(a.task_id, b.task_id) || a.map_index - b.map_index)
        .map(({ task_id, map_index, state, try_number, max_tries }) => ({
          task_id,
          map_index,
          state,
          try_number,
          max_tries,
        })),
    ),
  );
  statement(
    "live version",
    ["select version from airlock.dag where tenant = ? and dag_id = ? and state = 'active'"],
    plain((s, [tenant, dagId]) => {
      const dag = s.get(s.tables.dag, dagKey(text(tenant), text(dagId)));
      return dag === undefined ? [] : [{ version: dag.version }];
    }),
  );
  statement(
    "live bundle",
    ["select version, commit, repository, path, environment from airlock.dag where"],
    plain((s, [tenant, dagId]) => {
      const dag = s.get(s.tables.dag, dagKey(text(tenant), text(dagId)));
      return dag === undefined ? [] : [{ version: dag.version, ...bundle }];
    }),
  );
  statement(
    "pause",
    ["update airlock.dag set is_paused = ?"],
    function* (s, [paused, , tenant, dagId]) {
      const dag = yield* s.lock(s.tables.dag, dagKey(text(tenant), text(dagId)));
      if (dag === undefined) return [];
      const isPaused = paused === true;
      s.put(s.tables.dag, {
        ...dag,
        is_paused: isPaused,
        plan_needed: dag.plan_needed || !isPaused,
      });
      return [{ "?column?": 1 }];
    },
  );
  statement(
    "notice",
    ["with noted as ( insert into airlock.change"],
    plain(() => [{}]),
  );
}
