/**
 * The only way to the database. Every statement runs inside `tx(tenant, …)`, as the role `airlock_app`
 * that row-level security binds to that tenant, or inside `system(…)`, as `airlock_system`, for what
 * crosses tenants (schedulers, sweepers, sign-in). Nothing else opens a connection.
 */
import postgres from "postgres";
import type { TenantId } from "../model/ids.ts";

/** A transaction in progress. Statements are sent at once and pipelined: await only what the next one needs. */
export type Tx = postgres.ReservedSql & {
  /** Send it together with COMMIT, in one round trip. Its rows come back when the transaction has ended well. */
  readonly last: <T extends readonly (object | undefined)[]>(
    query: postgres.PendingQuery<T>,
  ) => Promise<postgres.RowList<T>>;
};

/** What builds a statement: a transaction's own, or the one that `once` hands out. */
export type Sql = postgres.ReservedSql;

export type Store = {
  tx<T>(tenant: TenantId, work: (tx: Tx) => Promise<T>): Promise<T>;
  system<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** A transaction of one statement, sent whole in one round trip: for the hot path, and for reads. */
  once<T extends readonly (object | undefined)[]>(
    tenant: TenantId,
    statement: (sql: Sql) => postgres.PendingQuery<T>,
  ): Promise<postgres.RowList<T>>;
  /** Calls back on every notification, and once after each (re)connection, since those of a gap are lost. */
  listen(channel: string, onNotify: (payload: string) => void, onListen: () => void): Promise<void>;
  /** Wakes listeners. Not part of any transaction: NOTIFY takes a global lock at commit, so it must never ride on the door's. */
  notify(channel: string, payload: string): Promise<void>;
  /** A session of its own for what belongs to a session: advisory locks. */
  session(): Promise<Session>;
  close(): Promise<void>;
};

export type Session = {
  readonly sql: postgres.Sql;
  close(): Promise<void>;
};

export type StoreOptions = { readonly connectionsMax?: number; readonly applicationName?: string };

export function openStore(url: string, options: StoreOptions = {}): Store {
  const connection = {
    application_name: options.applicationName ?? "airlock",
    idle_in_transaction_session_timeout: 30_000,
    statement_timeout: 60_000,
    lock_timeout: 30_000,
  };
  const settings = {
    onnotice: () => undefined,
    connection,
    connect_timeout: 10,
    max_lifetime: null,
    // Not `fetch_types: false`: with it, reserve() on a connection that is just opened never resolves (3.4.9).
  };
  const sql = postgres(url, { ...settings, max: options.connectionsMax ?? 10, idle_timeout: 60 });
  const sessions = new Set<postgres.Sql>();
  return {
    tx: (tenant, work) => withRetry(() => transact(sql, "airlock_app", tenant, work)),
    system: (work) => withRetry(() => transact(sql, "airlock_system", "", work)),
    once: (tenant, statement) => withRetry(() => sendWhole(sql, tenant, statement)),
    async listen(channel, onNotify, onListen) {
      await sql.listen(channel, onNotify, onListen);
    },
    async notify(channel, payload) {
      await sql`select set_config('synchronous_commit', 'off', true), pg_notify(${channel}, ${payload})`;
    },
    async session() {
      const own = postgres(url, {
        ...settings,
        max: 1,
        idle_timeout: 0,
        connection: { ...connection, idle_in_transaction_session_timeout: 0 },
      });
      await own`select 1`;
      sessions.add(own);
      return {
        sql: own,
        async close() {
          sessions.delete(own);
          await own.end({ timeout: 1 });
        },
      };
    },
    async close() {
      await Promise.all([...sessions].map((own) => own.end({ timeout: 1 })));
      await sql.end({ timeout: 5 });
    },
  };
}

async function transact<T>(
  sql: postgres.Sql,
  role: "airlock_app" | "airlock_system",
  tenant: string,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  const connection = await sql.reserve();
  const lasts: Promise<unknown>[] = [];
  try {
    // Not awaited: the first statements of `work` travel with these in one round trip.
    const opened = Promise.all([
      connection`begin`.execute(),
      connection`select set_config('role', ${role}, true), set_config('airlock.tenant', ${tenant}, true)`.execute(),
    ]);
    opened.catch(() => undefined);
    const tx = Object.assign(connection, {
      last: <R extends readonly (object | undefined)[]>(query: postgres.PendingQuery<R>) => {
        const sent = query.execute() as Promise<postgres.RowList<R>>;
        sent.catch(() => undefined);
        lasts.push(sent);
        return sent;
      },
    }) as Tx;
    const result = await work(tx);
    await opened;
    const commit = connection`commit`.execute();
    await Promise.all([...lasts, commit]);
    // A failed statement in a pipeline makes COMMIT succeed with this tag, and nothing was written.
    if ((await commit).command === "ROLLBACK")
      throw new Error("The transaction was rolled back at commit.");
    return result;
  } catch (error) {
    await connection`rollback`.catch(() => undefined);
    throw error;
  } finally {
    connection.release();
  }
}

async function sendWhole<T extends readonly (object | undefined)[]>(
  sql: postgres.Sql,
  tenant: string,
  statement: (sql: Sql) => postgres.PendingQuery<T>,
): Promise<postgres.RowList<T>> {
  const connection = await sql.reserve();
  try {
    const opened = connection`begin`.execute();
    const fenced =
      connection`select set_config('role', 'airlock_app', true), set_config('airlock.tenant', ${tenant}, true)`.execute();
    const answer = statement(connection).execute() as Promise<postgres.RowList<T>>;
    const commit = connection`commit`.execute();
    const sent = [opened, fenced, answer, commit];
    for (const part of sent) part.catch(() => undefined);
    await Promise.all(sent);
    if ((await commit).command === "ROLLBACK")
      throw new Error("The transaction was rolled back at commit.");
    return await answer;
  } catch (error) {
    await connection`rollback`.catch(() => undefined);
    throw error;
  } finally {
    connection.release();
  }
}

/** Deadlock, serialisation, and "cached plan must not change result type" after a migration: run again from the start. */
const retryableCodes = new Set(["40P01", "40001", "0A000"]);

async function withRetry<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (tries >= 5 || !retryableCodes.has(codeOf(error))) throw error;
    }
  }
}

/** SQLSTATE of a database error, or postgres.js's own code (`CONNECTION_CLOSED` …), or "". */
export const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error && typeof error.code === "string"
    ? error.code
    : "";

/** A guarded write did not find the rows that it expected (`airlock.expect`): read again and decide anew. */
export const isMovedMeanwhile = (error: unknown): boolean => codeOf(error) === "ALM01";

/** Whether the database is away (restarting, out of connections), as opposed to refusing this statement. */
export const isAway = (error: unknown): boolean =>
  /^(?:57P0[123]|08\w{3}|53\w{3}|ECONN\w+|EPIPE|CONNECT_TIMEOUT|CONNECTION_\w+|ETIMEDOUT)$/.test(
    codeOf(error),
  );
