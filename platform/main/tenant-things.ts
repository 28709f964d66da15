import type { TenantThings } from "../executor/attempt-host.ts";
import type { AttemptHost } from "../model/guest.ts";
import type { TenantId } from "../model/ids.ts";
import { isObject, type Json, type JsonObject } from "../model/json.ts";
import type { RunOrigin } from "../model/run.ts";
import type { RunDeeds } from "../runs/deeds.ts";
import { openConnection } from "../secrets/connection-value.ts";
import type { Keyring } from "../secrets/keyring.ts";
import { getConnection } from "../store/connections.ts";
import type { Store } from "../store/open.ts";
import { getVariable, putVariable, removeVariable } from "../store/variables.ts";

/** Connections and variables as attempts and parses ask for them: read in the tenant's own transaction, opened with its key. */
export function openTenantThings(
  store: Store,
  keyring: Keyring,
  deeds: Pick<RunDeeds, "triggerRun" | "clearInstances">,
): TenantThings {
  return {
    async getConnection(tenant, connId) {
      const row = await store.tx(tenant, (tx) => getConnection(tx, connId));
      return row === undefined ? undefined : openConnection(keyring, tenant, row);
    },
    async getVariable(tenant, key) {
      const row = await store.tx(tenant, (tx) => getVariable(tx, key));
      return row === undefined ? undefined : keyring.open(tenant, "variable", key, row.sealed);
    },
    async putVariable(tenant, key, value, description) {
      const sealed = await keyring.seal(tenant, "variable", key, value);
      await store.tx(tenant, (tx) => putVariable(tx, { key, sealed, description }));
    },
    deleteVariable: (tenant, key) => store.tx(tenant, (tx) => removeVariable(tx, key)),
    triggerDagRun: (tenant, request, by) => triggerFromTask(deeds, tenant, request, by),
  };
}

async function triggerFromTask(
  deeds: Pick<RunDeeds, "triggerRun" | "clearInstances">,
  tenant: TenantId,
  request: Parameters<AttemptHost["triggerDagRun"]>[0],
  by: RunOrigin,
): ReturnType<AttemptHost["triggerDagRun"]> {
  const logicalDate = request.logical_date === undefined ? null : new Date(request.logical_date);
  if (logicalDate !== null && Number.isNaN(logicalDate.getTime()))
    return { ok: false, message: `logical_date '${request.logical_date ?? ""}' is not a date` };
  const answer = await deeds.triggerRun(tenant, {
    dag_id: request.dag_id,
    run_id: request.run_id,
    logical_date: logicalDate,
    data_interval_start: undefined,
    data_interval_end: undefined,
    run_after: undefined,
    conf: asObject(request.conf),
    note: undefined,
    user: "task",
    triggered_by: "operator",
    by,
  });
  if (answer.ok) return { ok: true, run_id: answer.value.run_id };
  if (
    answer.problem.kind === "exists" &&
    request.reset_dag_run === true &&
    request.run_id !== undefined
  ) {
    await deeds.clearInstances(tenant, {
      dag_id: request.dag_id,
      run_ids: [request.run_id],
      start_date: undefined,
      end_date: undefined,
      tasks: undefined,
      only_failed: false,
      only_running: false,
      reset_dag_runs: true,
      prevent_running_task: false,
      run_on_latest_version: false,
      dry_run: false,
      user: "task",
      include_upstream: false,
      include_downstream: false,
      include_past: false,
      include_future: false,
    });
    return { ok: true, run_id: request.run_id };
  }
  return { ok: false, message: answer.problem.message };
}

const asObject = (conf: Json | undefined): JsonObject =>
  isObject(conf) ? (conf as JsonObject) : {};
