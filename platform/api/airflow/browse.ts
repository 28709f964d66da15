import type { z } from "zod";
import { isObject } from "../../model/json.ts";
import { type AuditRow, getAudit, listAudit } from "../../store/audit.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { pageOf, paging } from "../fields.ts";
import { forbidden, notFound } from "../problem.ts";
import { json } from "../reply.ts";
import { api } from "./base.ts";
import * as shapes from "./shapes.ts";

/** What Airflow's clients also ask of a server: what people did, and things that do not exist here. */
export const browseEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${api}/eventLogs`,
      tag: "Event Log",
      summary: "What people did in the tenant, newest first",
      policy: { deed: "audit.read", on: "*" },
      query: { limit: paging.limit, offset: paging.offset },
      answers: { 200: shapes.eventLogList },
    },
    async (ask) => {
      const found = await ask.tx((tx) =>
        listAudit(tx, { tenant: ask.tenant, page: pageOf(ask.query) }),
      );
      return json(200, { event_logs: found.rows.map(toEventLog), total_entries: found.total });
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/eventLogs/{event_log_id}`,
      tag: "Event Log",
      summary: "One of them",
      policy: { deed: "audit.read", on: "*" },
      answers: { 200: shapes.eventLog },
    },
    async (ask) => {
      const id = ask.params["event_log_id"] ?? "";
      const row = /^\d{1,18}$/.test(id)
        ? await ask.tx((tx) => getAudit(tx, { tenant: ask.tenant, seq: id }))
        : undefined;
      if (!row) throw notFound(`The Event Log with id: \`${id}\` not found`);
      return json(200, toEventLog(row));
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/dagWarnings`,
      tag: "DagWarning",
      summary: "None: what is wrong with a DAG is an import error, or said at the push",
      policy: { deed: "dag.read", list: "dag" },
      answers: { 200: shapes.dagWarningList },
    },
    async () => json(200, { dag_warnings: [], total_entries: 0 }),
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/providers`,
      tag: "Provider",
      summary: "None in the server: providers live in each tenant's own environment",
      policy: { deed: "tenant.read", on: "*" },
      answers: { 200: shapes.providerList },
    },
    async () => json(200, { providers: [], total_entries: 0 }),
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/plugins`,
      tag: "Plugin",
      summary: "None in the server: tenant code never runs in it",
      policy: { deed: "tenant.read", on: "*" },
      answers: { 200: shapes.pluginList },
    },
    async () => json(200, { plugins: [], total_entries: 0 }),
  ),
  endpoint(
    {
      method: "GET",
      path: `${api}/config`,
      tag: "Config",
      summary: "Not shown, as an Airflow whose configuration is not exposed answers",
      policy: { deed: "tenant.read", on: "*" },
      answers: {},
    },
    async () => {
      // The words that Airflow's own client looks for in its sample program.
      throw forbidden(
        "Your Airflow administrator chose not to expose the configuration, most likely for security reasons.",
      );
    },
  ),
];

function toEventLog(row: AuditRow): z.output<typeof shapes.eventLog> {
  const dagId = row.thing.startsWith("dag:") ? (row.thing.slice(4).split("/")[0] ?? null) : null;
  const named = (key: string): string | null => {
    const value = isObject(row.detail) ? row.detail[key] : undefined;
    return typeof value === "string" ? value : null;
  };
  return {
    event_log_id: Number(row.seq),
    when: row.at.toISOString(),
    dag_id: dagId,
    task_id: named("task_id"),
    run_id: named("run_id"),
    map_index: null,
    try_number: null,
    event: row.outcome === "done" ? row.deed : `${row.deed} (${row.outcome})`,
    logical_date: null,
    owner: row.actor,
    extra: JSON.stringify({ thing: row.thing, ip: row.ip, ...row.detail }),
    dag_display_name: dagId,
    task_display_name: named("task_id"),
  };
}
