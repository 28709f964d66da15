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
