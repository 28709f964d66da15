/** The log of one try: the chunks of its attempts, in order, or the object they were archived to. In a tenant's transaction. */
import type { Tx } from "./open.ts";

/** One attempt of a try. A try has several after a reschedule or a killed worker. */
export type LoggedAttempt = {
  readonly attempt: string;
  readonly state: "admitted" | "running" | "ended";
  readonly log_object: string | null;
};

export const listLoggedAttempts = async (
  tx: Tx,
  ref: { run: string; taskId: string; mapIndex: number; tryNumber: number },
): Promise<readonly LoggedAttempt[]> =>
  tx<LoggedAttempt[]>`
    select attempt, state, log_object from airlock.attempt
     where tenant = airlock.current_tenant() and run = ${ref.run} and task_id = ${ref.taskId}
       and map_index = ${ref.mapIndex} and try_number = ${ref.tryNumber}
     order by admitted_at, attempt`;

/** Chunks after `afterSeq` (−1: from the beginning): `text` is lines of JSON [epoch ms, level, source, text]. */
export const readLogChunks = async (
  tx: Tx,
  attempt: string,
  afterSeq: number,
  limit: number,
): Promise<readonly { seq: number; text: string }[]> =>
  tx<{ seq: number; text: string }[]>`
    select seq, text from airlock.log_chunk
     where tenant = airlock.current_tenant() and attempt = ${attempt} and seq > ${afterSeq}
     order by seq limit ${limit}`;

export type LogRef = {
  readonly run: string;
  readonly taskId: string;
  readonly mapIndex: number;
  readonly tryNumber: number;
};

/** What an attempt has written so far, without reading its text. */
export type AttemptLogFacts = LoggedAttempt & {
  readonly outcome: string | null;
  readonly reason: string | null;
  readonly host: string | null;
  readonly started_at: Date | null;
  readonly ended_at: Date | null;
  readonly lines: number;
  readonly bytes: number;
  readonly debugs: number;
  readonly warnings: number;
  readonly errors: number;
  readonly criticals: number;
  readonly group_chunks: number;
};

export const readLogFacts = async (tx: Tx, ref: LogRef): Promise<readonly AttemptLogFacts[]> =>
  tx<AttemptLogFacts[]>`
    select a.attempt, a.state, a.log_object, a.outcome, a.reason, a.host, a.started_at, a.ended_at, c.*
      from airlock.attempt a, lateral (
        select coalesce(sum(lines), 0)::float8 as lines, coalesce(sum(octet_length(text)), 0)::float8 as bytes,
               coalesce(sum(debugs), 0)::float8 as debugs, coalesce(sum(warnings), 0)::float8 as warnings,
               coalesce(sum(errors), 0)::float8 as errors, coalesce(sum(criticals), 0)::float8 as criticals,
               (count(*) filter (where has_groups))::float8 as group_chunks
          from airlock.log_chunk l where l.tenant = a.tenant and l.attempt = a.attempt) c
     where a.tenant = airlock.current_tenant() and a.run = ${ref.run} and a.task_id = ${ref.taskId}
       and a.map_index = ${ref.mapIndex} and a.try_number = ${ref.tryNumber}
     order by a.admitted_at, a.attempt`;

export const listLoggedTries = async (
  tx: Tx,
  ref: Omit<LogRef, "tryNumber">,
): Promise<readonly { try_number: number }[]> =>
  tx<{ try_number: number }[]>`
    select distinct try_number from airlock.attempt
     where tenant = airlock.current_tenant() and run = ${ref.run} and task_id = ${ref.taskId} and map_index = ${ref.mapIndex}
     order by try_number desc limit 200`;

/** A chunk with its place: how many lines, and how many kept ones, are before it in the whole try. */
export type PlacedChunk = {
  readonly attempt: string;
  readonly seq: number;
  readonly start: number;
  readonly kept_start: number;
  readonly lines: number;
  readonly text: string;
};

/**
 * The chunks in which the kept lines (at or above a level) `from` … `to`, counted from 0, lie. `by` "line" counts all
 * lines instead. Sums run over the rows alone: their text lies elsewhere and is read for those that are answered.
 */
export const readPlacedChunks = async (
  tx: Tx,
  ref: LogRef,
  query: {
    readonly level: string;
    readonly by: "kept" | "line";
    readonly from: number;
    readonly to: number;
    readonly bytesMax: number;
  },
): Promise<readonly PlacedChunk[]> =>
  tx<PlacedChunk[]>`
    with chunk as (
      select a.attempt, l.seq, l.lines, octet_length(l.text) as bytes,
             case ${query.level} when 'debug' then l.lines when 'info' then l.lines - l.debugs
               when 'warning' then l.warnings + l.errors + l.criticals when 'error' then l.errors + l.criticals
               else l.criticals end as kept,
             row_number() over w as n, sum(l.lines) over w as line_end, a.admitted_at
        from airlock.attempt a join airlock.log_chunk l on l.tenant = a.tenant and l.attempt = a.attempt
       where a.tenant = airlock.current_tenant() and a.run = ${ref.run} and a.task_id = ${ref.taskId}
         and a.map_index = ${ref.mapIndex} and a.try_number = ${ref.tryNumber} and a.log_object is null
      window w as (order by a.admitted_at, a.attempt, l.seq)),
    placed as (select *, sum(kept) over (order by n) as kept_end from chunk),
    asked as (
      select *, sum(bytes) over (order by n) - bytes as before from placed
       where case ${query.by} when 'line' then line_end > ${query.from}::bigint and line_end - lines < ${query.to}::bigint
               else kept > 0 and kept_end > ${query.from}::bigint and kept_end - kept < ${query.to}::bigint end)
    select k.attempt, k.seq, (k.line_end - k.lines)::float8 as start, (k.kept_end - k.kept)::float8 as kept_start, k.lines,
           (select l.text from airlock.log_chunk l
             where l.tenant = airlock.current_tenant() and l.attempt = k.attempt and l.seq = k.seq) as text
      from asked k where k.before < ${query.bytesMax} order by k.n limit 2000`;

/** The chunks in which groups begin or end, in the order of the try. */
export const readGroupChunks = async (
  tx: Tx,
  ref: LogRef,
  query: { readonly fromLine: number; readonly bytesMax: number },
): Promise<readonly { start: number; lines: number; text: string }[]> =>
  tx<{ start: number; lines: number; text: string }[]>`
    with chunk as (
      select a.attempt, l.seq, l.lines, l.has_groups, octet_length(l.text) as bytes,
             row_number() over w as n, sum(l.lines) over w as line_end
        from airlock.attempt a join airlock.log_chunk l on l.tenant = a.tenant and l.attempt = a.attempt
       where a.tenant = airlock.current_tenant() and a.run = ${ref.run} and a.task_id = ${ref.taskId}
         and a.map_index = ${ref.mapIndex} and a.try_number = ${ref.tryNumber} and a.log_object is null
      window w as (order by a.admitted_at, a.attempt, l.seq)),
    asked as (select *, sum(bytes) over (order by n) - bytes as before from chunk where has_groups and line_end > ${query.fromLine}::bigint)
    select (k.line_end - k.lines)::float8 as start, k.lines,
           (select l.text from airlock.log_chunk l
             where l.tenant = airlock.current_tenant() and l.attempt = k.attempt and l.seq = k.seq) as text
      from asked k where k.before < ${query.bytesMax} order by k.n limit 2000`;

/**
 * The next chunks of an attempt for a search. `text` is null where it cannot hold a hit: no line of the level, or
 * neither the needle (as JSON spells it) nor a colour code, between whose pieces it could lie.
 */
export const readSearchChunks = async (
  tx: Tx,
  query: {
    readonly attempt: string;
    readonly afterSeq: number;
    readonly limit: number;
    readonly level: string;
    readonly needle: string | null;
  },
): Promise<readonly { seq: number; lines: number; text: string | null }[]> =>
  tx<{ seq: number; lines: number; text: string | null }[]>`
    select seq, lines, case
        when (case ${query.level} when 'debug' then lines when 'info' then lines - debugs
               when 'warning' then warnings + errors + criticals when 'error' then errors + criticals
               else criticals end) = 0 then null
        when ${query.needle}::text is null or position(${query.needle}::text in text) > 0
          or position('x1b[' in text) > 0 or position('u001b[' in text) > 0 then text end as text
      from airlock.log_chunk
     where tenant = airlock.current_tenant() and attempt = ${query.attempt} and seq > ${query.afterSeq}
     order by seq limit ${query.limit}`;
