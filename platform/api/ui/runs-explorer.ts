/**
 * All runs of a tenant: list, counts per facet, and deeds on many of them.
 *
 *   look (preview) ─► ask for it (create) ─► five seconds in which it can be taken back ─► done by a server (bulk-deeds.ts)
 *
 * A deed on many means the runs that were looked at, by key: what came since is not among them.
 */
import { z } from "zod";
import {
  addBulkDeed,
  type BulkDeedProgress,
  bulkDeedKinds,
  getBulkDeed,
  listBulkDeedRuns,
  listBulkDeeds,
  takeBackBulkDeed,
} from "../../store/bulk-deeds.ts";
import { addNotice } from "../../store/changes.ts";
import {
  countFacets,
  type ExploredRun,
  exploreRuns,
  facetRunsMax,
  findRunKeys,
  type RunFilter,
  readMeantRuns,
} from "../../store/explore-runs.ts";
import { bulkWake, cannotBecause, rightOf } from "../bulk-deeds.ts";
import { type Ask, type Endpoint, endpoint } from "../endpoint.ts";
import { many, range, rangeOf, text, time, whole } from "../fields.ts";
import { badRequest, conflict, invalid, notFound } from "../problem.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";

const tag = "Page";
const runsMax = 10_000;
const waitSeconds = 5;
const policy = { deed: "run.read", list: "dag" } as const;

const states = z.enum(["queued", "running", "success", "failed"]);
const types = z.enum(["scheduled", "manual", "backfill", "asset_triggered"]);
const filterQuery = {
  state: many(states),
  run_type: many(types),
  dag_id: many(text(250)),
  tag: many(text(250)),
  user: many(text(250)),
  commit: many(text(64)),
  version: many(whole(0, 2_147_483_647)),
  text: text(200).optional(),
  ...range("run_after", time),
};
const filterBody = z.strictObject({
  state: z.array(states).max(4).optional(),
  run_type: z.array(types).max(4).optional(),
  dag_id: z.array(text(250)).max(1_000).optional(),
  tag: z.array(text(250)).max(1_000).optional(),
  user: z.array(text(250)).max(1_000).optional(),
  commit: z.array(text(64)).max(1_000).optional(),
  version: z.array(z.int().min(0)).max(1_000).optional(),
  text: text(200).optional(),
  run_after_gte: time.optional(),
  run_after_gt: time.optional(),
  run_after_lte: time.optional(),
  run_after_lt: time.optional(),
});

type Asked = {
  readonly state?: readonly string[] | undefined;
  readonly run_type?: readonly string[] | undefined;
  readonly dag_id?: readonly string[] | undefined;
  readonly tag?: readonly string[] | undefined;
  readonly user?: readonly string[] | undefined;
  readonly commit?: readonly string[] | undefined;
  readonly version?: readonly number[] | undefined;
  readonly text?: string | undefined;
};

const filterOf = (ask: Ask<unknown, unknown>, asked: Asked): RunFilter => ({
  seen: ask.seen(),
  states: asked.state,
  types: asked.run_type,
  dagIds: asked.dag_id,
  tags: asked.tag,
  users: asked.user,
  commits: asked.commit,
  versions: asked.version,
  text: asked.text === "" ? undefined : asked.text,
  runAfter: rangeOf<Date>(asked, "run_after"),
});

const exploredRun = z.object({
  /** The key that a deed on many names it by. */
  run: z.string(),
  dag_id: z.string(),
  run_id: z.string(),
  run_type: z.string(),
  state: z.string(),
  run_after: z.string(),
  logical_date: z.string().nullable(),
  started_at: z.string().nullable(),
  ended_at: z.string().nullable(),
  version: z.int(),
  commit: z.string(),
  triggered_by: z.string(),
  user: z.string().nullable(),
  note: z.string().nullable(),
  reason: z.string().nullable(),
});
const runPage = z.object({ runs: z.array(exploredRun), next: z.string().nullable() });
export type ExploredRuns = z.output<typeof runPage>;

const runFacets = z.object({
  total: z.int(),
  /** More runs than are counted: the counts are of the newest 100,000. */
  capped: z.boolean(),
  facets: z.record(z.string(), z.array(z.object({ value: z.string(), count: z.int() }))),
});
export type RunFacets = z.output<typeof runFacets>;

const deedKind = z.enum(bulkDeedKinds);
const runKey = z.string().regex(/^[0-9]{1,18}$/, { error: "must be the key of a run" });

const preview = z.object({
  deed: deedKind,
  /** Keys of the runs that it would be done on. */
  runs: z.array(z.string()),
  instances: z.int(),
  dags: z.int(),
  /** There are more than 10,000: these are the newest. */
  capped: z.boolean(),
  cannot: z.array(z.object({ why: z.string(), count: z.int(), examples: z.array(z.string()) })),
});
export type BulkPreview = z.output<typeof preview>;

const bulkDeed = z.object({
  id: z.string(),
  deed: deedKind,
  latest: z.boolean(),
  state: z.enum(["waiting", "running", "done", "taken_back"]),
  total: z.int(),
  done: z.int(),
  failed: z.int(),
  created_at: z.string(),
  ended_at: z.string().nullable(),
  due_in_ms: z.number(),
});
export type BulkDeed = z.output<typeof bulkDeed>;
const bulkDeeds = z.object({ deeds: z.array(bulkDeed) });
export type BulkDeeds = z.output<typeof bulkDeeds>;
const bulkDeedDetail = bulkDeed.extend({
  failures: z.array(z.object({ dag_id: z.string(), run_id: z.string(), reason: z.string() })),
});
export type BulkDeedDetail = z.output<typeof bulkDeedDetail>;

export const runsExplorerEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${ui}/runs`,
      tag,
      summary: "Runs of all DAGs, newest first, by facets",
      policy,
      query: { ...filterQuery, cursor: text(60).optional(), limit: whole(1, 500).default(100) },
      answers: { 200: runPage },
    },
    async (ask) => {
      const { query } = ask;
      const after = query.cursor === undefined ? undefined : readCursor(query.cursor);
      const rows = await ask.tx((tx) =>
        exploreRuns(tx, filterOf(ask, query), after, query.limit + 1),
      );
      const shown = rows.slice(0, query.limit);
      const last = rows.length > query.limit ? shown.at(-1) : undefined;
      const answer: ExploredRuns = {
        runs: shown.map(toRun),
        next: last === undefined ? null : `${last.at_us}.${last.run}`,
      };
      return json(200, answer);
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${ui}/runs/facets`,
      tag,
      summary: "How many runs each value of a facet would leave",
      policy,
      query: filterQuery,
      answers: { 200: runFacets },
    },
    async (ask) => {
      const rows = await ask.tx((tx) => countFacets(tx, filterOf(ask, ask.query)));
      const of = (facet: string) =>
        rows
          .filter((row) => row.facet === facet)
          .map(({ value, count }) => ({ value, count }))
          .toSorted((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1));
      const answer: RunFacets = {
        total: of("total")[0]?.count ?? 0,
        capped: (of("looked_at")[0]?.count ?? 0) >= facetRunsMax,
        facets: Object.fromEntries(
          ["state", "run_type", "dag_id", "tag", "user", "commit"].map((facet) => [
            facet,
            of(facet),
          ]),
        ),
      };
      return json(200, answer);
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${ui}/runs/deeds/preview`,
      tag,
      summary: "Which runs a deed on many would be done on, and on which not, and why",
      policy,
      body: {
        deed: deedKind,
        runs: z.array(runKey).max(runsMax).optional(),
        filter: filterBody.optional(),
      },
      answers: { 200: preview },
    },
    async (ask) => {
      const { deed, runs, filter } = ask.body;
      if ((runs === undefined) === (filter === undefined))
        throw invalid("runs", "Give either runs or a filter");
      const found = await ask.tx(async (tx) => {
        const keys = runs ?? (await findRunKeys(tx, filterOf(ask, filter ?? {}), runsMax + 1));
        const wanted = [...new Set(keys)].slice(0, runsMax);
        return {
          capped: keys.length > runsMax,
          wanted: wanted.length,
          rows: await readMeantRuns(tx, ask.seen(), wanted),
        };
      });
      const able: (typeof found.rows)[number][] = [];
      const cannot = new Map<string, string[]>();
      for (const row of found.rows) {
        const why = ask.may(rightOf[deed], `dag:${row.dag_id}`)
          ? cannotBecause(deed, row)
          : "You may not do this on their DAG";
        if (why === undefined) able.push(row);
        else cannot.set(why, [...(cannot.get(why) ?? []), `${row.dag_id}/${row.run_id}`]);
      }
      const gone = found.wanted - found.rows.length;
      const answer: BulkPreview = {
        deed,
        runs: able.map(({ run }) => run),
        instances: able.reduce((sum, row) => sum + touchedOf(deed, row), 0),
        dags: new Set(able.map(({ dag_id }) => dag_id)).size,
        capped: found.capped,
        cannot: [
          ...[...cannot].map(([why, names]) => ({
            why,
            count: names.length,
            examples: names.slice(0, 5),
          })),
          ...(gone === 0
            ? []
            : [{ why: "They are not there any more", count: gone, examples: [] }]),
        ],
      };
      return json(200, answer);
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${ui}/runs/deeds`,
      tag,
      summary: "Ask for a deed on many runs; it waits five seconds in which it can be taken back",
      policy,
      body: {
        /** Made by who asks: sent twice, it is one deed. */
        id: z.uuid(),
        deed: deedKind,
        latest: z.boolean().default(false),
        runs: z.array(runKey).min(1).max(runsMax),
      },
      answers: { 200: bulkDeed },
    },
    async (ask) => {
      const { id, deed, latest } = ask.body;
      const keys = [...new Set(ask.body.runs)];
      const made = await ask.tx(async (tx) => {
        const before = await getBulkDeed(tx, id, ask.asker.subject);
        if (before !== undefined) return before;
        const rows = await readMeantRuns(tx, ask.seen(), keys);
        const allowed = rows.filter((row) => ask.may(rightOf[deed], `dag:${row.dag_id}`));
        if (allowed.length === 0)
          throw rows.length === 0
            ? notFound("None of these runs is there")
            : badRequest("You may not do this on any of these runs");
        const added = await addBulkDeed(tx, {
          id,
          actor: ask.asker.subject,
          onlyTenant: ask.asker.onlyTenant,
          scopes: ask.asker.scopes,
          ip: ask.ip,
          deed,
          latest,
          waitSeconds,
          runs: allowed.map(({ run, dag_id, run_id }) => ({ run, dag_id, run_id })),
        });
        if (!added) throw conflict("There is a deed of this id already");
        await ask.audit(tx, rightOf[deed], "*", { bulk: id, deed, runs: allowed.length });
        await addNotice(tx, ask.tenant, "bulk");
        return getBulkDeed(tx, id, ask.asker.subject);
      });
      if (made === undefined) throw notFound();
      await ask.deps.store.notify(bulkWake, "");
      return json(200, toBulkDeed(made));
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${ui}/runs/deeds`,
      tag,
      summary: "One's own deeds on many runs, newest first",
      policy,
      query: { limit: whole(1, 100).default(20) },
      answers: { 200: bulkDeeds },
    },
    async (ask) => {
      const rows = await ask.tx((tx) => listBulkDeeds(tx, ask.asker.subject, ask.query.limit));
      const answer: BulkDeeds = { deeds: rows.map(toBulkDeed) };
      return json(200, answer);
    },
  ),
  endpoint(
    {
      method: "GET",
      path: `${ui}/runs/deeds/{deed_id}`,
      tag,
      summary: "How far a deed on many runs is, and on which it could not be done",
      policy,
      answers: { 200: bulkDeedDetail },
    },
    async (ask) => {
      const id = idOf(ask);
      const seen = ask.seen();
      const found = await ask.tx(async (tx) => {
        const row = await getBulkDeed(tx, id, ask.asker.subject);
        if (row === undefined) throw noSuchDeed();
        return { row, failures: await listBulkDeedRuns(tx, id, "failed", 0, 1_000, seen) };
      });
      const answer: BulkDeedDetail = {
        ...toBulkDeed(found.row),
        failures: found.failures.map(({ dag_id, run_id, reason }) => ({
          dag_id,
          run_id,
          reason: reason ?? "",
        })),
      };
      return json(200, answer);
    },
  ),
  endpoint(
    {
      method: "POST",
      path: `${ui}/runs/deeds/{deed_id}/take-back`,
      tag,
      summary: "Take a deed on many runs back, before it begins",
      policy,
      answers: { 200: bulkDeed },
    },
    async (ask) => {
      const id = idOf(ask);
      const row = await ask.tx(async (tx) => {
        const taken = await takeBackBulkDeed(tx, id, ask.asker.subject);
        const now = await getBulkDeed(tx, id, ask.asker.subject);
        if (now === undefined) throw noSuchDeed();
        if (taken) {
          await ask.audit(tx, rightOf[now.deed], "*", {
            bulk: id,
            deed: now.deed,
            taken_back: true,
          });
          await addNotice(tx, ask.tenant, "bulk");
        }
        return now;
      });
      if (row.state !== "taken_back")
        throw conflict(
          row.state === "done"
            ? "It is done already"
            : `It has begun: ${row.done + row.failed} of ${row.total} runs are through`,
        );
      return json(200, toBulkDeed(row));
    },
  ),
];

const noSuchDeed = () => notFound("There is no such deed");

function idOf(ask: Ask<unknown, unknown>): string {
  const read = z.uuid().safeParse(ask.params["deed_id"]);
  if (!read.success) throw noSuchDeed();
  return read.data;
}

function readCursor(raw: string): { atUs: string; run: string } {
  const [, atUs, run] = /^(-?[0-9]{1,17})\.([0-9]{1,18})$/.exec(raw) ?? [];
  if (atUs === undefined || run === undefined)
    throw invalid("cursor", "is no cursor of this list", "query");
  return { atUs, run };
}

const iso = (at: Date | null): string | null => at?.toISOString() ?? null;

const toRun = (row: ExploredRun): ExploredRuns["runs"][number] => ({
  run: row.run,
  dag_id: row.dag_id,
  run_id: row.run_id,
  run_type: row.run_type,
  state: row.state,
  run_after: row.run_after.toISOString(),
  logical_date: iso(row.logical_date),
  started_at: iso(row.started_at),
  ended_at: iso(row.ended_at),
  version: row.version,
  commit: row.commit,
  triggered_by: row.triggered_by,
  user: row.triggering_user,
  note: row.note,
  reason: row.reason,
});

const toBulkDeed = (row: BulkDeedProgress): BulkDeed => ({
  id: row.id,
  deed: row.deed,
  latest: row.latest,
  state: row.state,
  total: row.total,
  done: row.done,
  failed: row.failed,
  created_at: row.created_at.toISOString(),
  ended_at: iso(row.ended_at),
  due_in_ms: row.due_in_ms,
});

/** How many task instances of a run the deed is about. */
function touchedOf(
  deed: BulkDeed["deed"],
  row: { readonly instances: number; readonly failed: number; readonly unfinished: number },
): number {
  switch (deed) {
    case "clear_failed":
      return row.failed;
    case "stop":
    case "mark_failed":
      return row.unfinished;
    case "clear":
    case "mark_success":
    case "delete":
      return row.instances;
  }
}
