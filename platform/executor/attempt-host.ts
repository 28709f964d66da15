/** What a running attempt may ask of the house, answered from the tenant's own rows and nothing else. */
import { createReadStream } from "node:fs";
import { failpointsSet, hit } from "../../ops/failpoints/failpoints.ts";
import type { AttemptHost, ConnectionValue, XComRef } from "../model/guest.ts";
import type { TenantId } from "../model/ids.ts";
import type { Json, JsonObject } from "../model/json.ts";
import type { RunOrigin } from "../model/run.ts";
import type { Objects } from "../objects/open-objects.ts";
import {
  readRunState,
  readTaskStates,
  readXCom,
  readXComs,
  type StoredXCom,
  writeArtifact,
  writeRendered,
  writeRenderedMapIndex,
} from "../store/attempt-data.ts";
import type { Claimed } from "../store/claim.ts";
import type { Store } from "../store/open.ts";
import type { XComWrite } from "../store/run-rows.ts";
import type { AttemptLog } from "./attempt-log.ts";

/** Connections and variables, opened with the tenant's key: `main` wires the store and the secrets room together. */
export type TenantThings = {
  getConnection(tenant: TenantId, connId: string): Promise<ConnectionValue | undefined>;
  getVariable(tenant: TenantId, key: string): Promise<string | undefined>;
  putVariable(tenant: TenantId, key: string, value: string, description?: string): Promise<void>;
  deleteVariable(tenant: TenantId, key: string): Promise<boolean>;
  triggerDagRun: (
    tenant: TenantId,
    request: Parameters<AttemptHost["triggerDagRun"]>[0],
    by: RunOrigin,
  ) => ReturnType<AttemptHost["triggerDagRun"]>;
};

/** A task that runs longer than this shows its rendered fields meanwhile; a shorter one saves a commit before its code begins. */
const showRenderedAfterMs = 300;

/** In Postgres up to this size; larger values go to the object store. */
const inlineBytesMax = 64 * 1024;

export type HostedAttempt = {
  readonly host: AttemptHost;
  /** XComs that were set and not yet written: they travel in the door's transaction. */
  readonly xcoms: () => readonly XComWrite[];
  /** The rendered fields, if they were not yet written: they travel along as well. */
  readonly takeRendered: () => JsonObject | undefined;
};

export function hostAttempt(
  deps: { readonly store: Store; readonly objects: Objects; readonly things: TenantThings },
  tenant: TenantId,
  claimed: Claimed,
  log: AttemptLog,
): HostedAttempt {
  const { store, objects, things } = deps;
  const { run, task_id, map_index, attempt, fence, try_number } = claimed;
  const own = { task_id, map_index };
  const pending = new Map<string, XComWrite>();
  let rendered: JsonObject | undefined;
  let showRendered: NodeJS.Timeout | undefined;
  const isOwn = (ref: Omit<XComRef, "map_index">): boolean =>
    ref.dag_id === claimed.at.dag_id && ref.run_id === claimed.at.run_id && ref.task_id === task_id;

  const valueOf = async (stored: StoredXCom): Promise<Json> => {
    if (stored.object === null) return stored.value;
    const body = await objects.read(stored.object);
    if (body === undefined) throw new Error("an XCom's object is gone from the store");
    const parts: Buffer[] = [];
    for await (const part of body) parts.push(part as Buffer);
    return JSON.parse(Buffer.concat(parts).toString("utf8")) as Json;
  };

  const host: AttemptHost = {
    getConnection: (connId) => things.getConnection(tenant, connId),
    getVariable: (key) => things.getVariable(tenant, key),
    putVariable: (key, value, description) => things.putVariable(tenant, key, value, description),
    deleteVariable: (key) => things.deleteVariable(tenant, key),
    async getXCom(ref) {
      if (isOwn(ref) && ref.map_index === map_index) {
        const mine = pending.get(ref.key);
        if (mine !== undefined)
          return mine.value === null
            ? valueOf({ value: null, object: mine.object })
            : (JSON.parse(mine.value) as Json);
      }
      const stored = await readXCom(store, tenant, ref, ref.include_prior_dates === true);
      return stored === undefined ? undefined : valueOf(stored);
    },
    async listXComs(ref) {
      const rows = await store.once(tenant, (sql) => readXComs(sql, tenant, ref));
      return Promise.all(rows.map(valueOf));
    },
    async countXComs(ref) {
      return (await store.once(tenant, (sql) => readXComs(sql, tenant, ref))).length;
    },
    async setXCom(ref, value) {
      if (!isOwn(ref)) throw new Error("a task writes its own XComs only");
      const text = JSON.stringify(value);
      const bytes = Buffer.byteLength(text);
      if (bytes <= inlineBytesMax) {
        pending.set(ref.key, { ...own, key: ref.key, value: text, object: null, bytes });
        return;
      }
      // The name carries the fence: what a ghost writes never lies under a name that anybody reads.
      const object = `xcom/${tenant}/${attempt}/${fence}-${pending.size}-${Date.now().toString(36)}`;
      if (failpointsSet) await hit("xcom.before_object");
      await objects.put(object, Buffer.from(text));
      if (failpointsSet) await hit("xcom.after_object");
      pending.set(ref.key, { ...own, key: ref.key, value: null, object, bytes });
    },
    async deleteXCom(ref) {
      if (!isOwn(ref)) throw new Error("a task deletes its own XComs only");
      pending.delete(ref.key);
      await store.tx(tenant, async (tx) => {
        void tx.last(
          tx`delete from airlock.xcom where tenant = ${tenant} and run = ${run} and task_id = ${task_id} and map_index = ${map_index} and key = ${ref.key}`,
        );
      });
    },
    async setRenderedFields(fields) {
      rendered = fields;
      showRendered ??= setTimeout(() => {
        showRendered = undefined;
        const shown = rendered;
        if (shown === undefined) return;
        rendered = undefined;
        store
          .once(tenant, (sql) => writeRendered(sql, tenant, run, { ...own, try_number }, shown))
          .catch(() => {
            // They are for the eye alone, and go with the end once more.
            rendered ??= shown;
          });
      }, showRenderedAfterMs).unref();
    },
    async setRenderedMapIndex(text) {
      await store.once(tenant, (sql) => writeRenderedMapIndex(sql, tenant, run, own, text));
    },
    triggerDagRun: (request) => things.triggerDagRun(tenant, request, { run, ...own }),
    getDagRunState: (dagId, runId) => readRunState(store, tenant, dagId, runId),
    async getTaskStates(query) {
      const rows = await store.once(tenant, (sql) =>
        readTaskStates(sql, tenant, {
          dag_id: query.dag_id,
          run_ids: query.run_ids ?? null,
          logical_dates: query.logical_dates ?? null,
          task_ids: query.task_ids ?? null,
        }),
      );
      const states: Record<string, Record<string, string | null>> = {};
      for (const row of rows) {
        const name = row.map_index < 0 ? row.task_id : `${row.task_id}[${row.map_index}]`;
        (states[row.run_id] ??= {})[name] = row.state;
      }
      return states;
    },
    log: (lines) => log.add(lines),
    async artifact(file) {
      const object = `artifacts/${tenant}/${attempt}/${fence}-${Buffer.from(file.name).toString("hex").slice(0, 120)}`;
      if (failpointsSet) await hit("artifact.before_object");
      const { bytes } = await objects.put(object, createReadStream(file.path));
      if (failpointsSet) await hit("artifact.after_object");
      await store.tx(tenant, async (tx) => {
        void tx.last(
          writeArtifact(tx, tenant, attempt, {
            name: file.name,
            bytes,
            contentType: contentTypeOf(file.name),
            object,
          }),
        );
      });
      if (failpointsSet) await hit("artifact.after_row");
    },
  };
  return {
    host,
    xcoms: () => [...pending.values()],
    takeRendered: () => {
      clearTimeout(showRendered);
      const last = rendered;
      rendered = undefined;
      return last;
    },
  };
}

/**
 * The same host, for which a database that is away is a reason to wait and none to fail the task. Not for what must not
 * be done twice: a run that is triggered without a name of its own, when nobody knows whether it was made.
 */
export function patientHost(
  host: AttemptHost,
  patiently: <T>(ask: () => Promise<T>) => Promise<T>,
): AttemptHost {
  return {
    getConnection: (id) => patiently(() => host.getConnection(id)),
    getVariable: (key) => patiently(() => host.getVariable(key)),
    putVariable: (key, value, about) => patiently(() => host.putVariable(key, value, about)),
    deleteVariable: (key) => patiently(() => host.deleteVariable(key)),
    getXCom: (ref) => patiently(() => host.getXCom(ref)),
    listXComs: (ref) => patiently(() => host.listXComs(ref)),
    countXComs: (ref) => patiently(() => host.countXComs(ref)),
    setXCom: (ref, value, length) => patiently(() => host.setXCom(ref, value, length)),
    deleteXCom: (ref) => patiently(() => host.deleteXCom(ref)),
    setRenderedFields: (fields) => host.setRenderedFields(fields),
    setRenderedMapIndex: (text) => patiently(() => host.setRenderedMapIndex(text)),
    triggerDagRun: (request) => host.triggerDagRun(request),
    getDagRunState: (dagId, runId) => patiently(() => host.getDagRunState(dagId, runId)),
    getTaskStates: (query) => patiently(() => host.getTaskStates(query)),
    log: (lines) => host.log(lines),
    artifact: (file) => patiently(() => host.artifact(file)),
  };
}

const contentTypes: ReadonlyMap<string, string> = new Map(
  Object.entries({
    html: "text/html",
    svg: "image/svg+xml",
    png: "image/png",
    jpg: "image/jpeg",
    jpeg: "image/jpeg",
    pdf: "application/pdf",
    csv: "text/csv",
    json: "application/json",
    txt: "text/plain",
    md: "text/markdown",
  }),
);
const contentTypeOf = (name: string): string =>
  contentTypes.get(name.split(".").at(-1)?.toLowerCase() ?? "") ?? "application/octet-stream";
