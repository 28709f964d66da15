/**
 * The only way to the database. Every statement runs inside `tx(tenant, …)`, as the role `airlock_app`
 * that row-level security binds to that tenant, or inside `system(…)`, as `airlock_system`, for what
 * crosses tenants (schedulers, sweepers, sign-in). Nothing else opens a connection.
 */
import postgres from "postgres";
import type { TenantId } from "../model/ids.ts";
import { arrayTypes } from "./array-types.ts";

type SqlTag = {
  /** A name, or a list of values, to put into a statement. */
  (
    part: string | (readonly string[] & { raw?: never }),
  ): postgres.Helper<string | readonly string[]>;
  <T extends readonly (object | undefined)[] = postgres.Row[]>(
    template: TemplateStringsArray,
    ...parameters: readonly postgres.ParameterOrFragment<never>[]
  ): postgres.PendingQuery<T>;
};

/** A transaction in progress. Statements are sent at once and pipelined: await only what the next one needs. */
export type Tx = SqlTag & {
  /** For constant text, such as a list of columns. */
  unsafe(text: string): postgres.PendingQuery<postgres.Row[]>;
  /** Send it together with COMMIT, in one round trip. Its rows come back when the transaction has ended well. */
  readonly last: <T extends readonly (object | undefined)[]>(
    query: postgres.PendingQuery<T>,
  ) => Promise<postgres.RowList<T>>;
};

/** What builds a statement: a transaction's own, or the one that `once` hands out. */
export type Sql = SqlTag;

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
  /** Of the pool: how many are open, how many of those idle, and how much work waits for one. */
  connections(): { readonly open: number; readonly idle: number; readonly waiting: number };
  close(): Promise<void>;
};

/** Ends with its connection: it never comes back as another one. */
export type Session = {
  readonly sql: postgres.Sql;
  /** Resolves when the connection is gone, by whatever hand; `close` is one. */
  readonly lost: Promise<undefined>;
  isOpen(): boolean;
  close(): Promise<void>;
};

export type StoreOptions = { readonly connectionsMax?: number; readonly applicationName?: string };

export const openStore = (url: string, options: StoreOptions = {}): Store =>
  openStoreOver((settings) => postgres(url, settings), options);

/** Opens one client of the driver; nothing is sent before its first statement. */
export type Dial = (settings: Options) => postgres.Sql;

/** The same over any client that speaks as the driver does: the simulation has one of its own. */
export function openStoreOver(dial: Dial, options: StoreOptions = {}): Store {
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
    fetch_types: false,
    types: arrayTypes,
  };
  const lines = openLines(dial, { ...settings, idle_timeout: 60 }, options.connectionsMax ?? 10);
  const bell = dial({ ...settings, max: 1, idle_timeout: 60 });
  const sessions = new Set<postgres.Sql>();
  return {
    tx: (tenant, work) => withRetry(() => transact(lines, "airlock_app", tenant, work)),
    system: (work) => withRetry(() => transact(lines, "airlock_system", "", work)),
    once: (tenant, statement) => withRetry(() => sendWhole(lines, tenant, statement)),
    async listen(channel, onNotify, onListen) {
      await bell.listen(channel, onNotify, onListen);
    },
    async notify(channel, payload) {
      await bell`select set_config('synchronous_commit', 'off', true), pg_notify(${channel}, ${payload})`;
    },
    async session() {
      const lost = Promise.withResolvers<undefined>();
      let ended = false;
      const own = dial({
        ...settings,
        max: 1,
        idle_timeout: 0,
        connection: { ...connection, idle_in_transaction_session_timeout: 0 },
        onclose() {
          // A client that came back by itself would be another session, without this one's locks.
          ended = true;
          sessions.delete(own);
          void own.end({ timeout: 0 });
          lost.resolve(undefined);
        },
      });
      sessions.add(own);
      await own`select 1`;
      return {
        sql: own,
        lost: lost.promise,
        isOpen: () => !ended,
        async close() {
          sessions.delete(own);
          await own.end({ timeout: 1 });
        },
      };
    },
    connections: () => lines.count(),
    async close() {
      await Promise.all([...sessions].map((own) => own.end({ timeout: 1 })));
      await Promise.all([lines.close(), bell.end({ timeout: 5 })]);
    },
  };
}

type Options = postgres.Options<typeof arrayTypes>;

/** One connection for its whole life. Closed is for ever: nothing sent to it later can run. */
type Line = { readonly sql: postgres.Sql; isOpen(): boolean; close(): void };
type Lines = {
  take(): Promise<Line>;
  give(line: Line): void;
  count(): { readonly open: number; readonly idle: number; readonly waiting: number };
  close(): Promise<void>;
};

/**
 * A pool of our own, of single-connection clients. The driver's own pool puts a new connection behind the handle of one
 * that was cut: what the cut transaction still sends (its ROLLBACK, say) would then run inside another
 * transaction, of another tenant, or on its own as the owner.
 */
function openLines(dial: Dial, settings: Options, linesMax: number): Lines {
  const idle: Line[] = [];
  const all = new Set<Line>();
  const waiting: { resolve(line: Line): void; reject(error: unknown): void }[] = [];
  let opening = 0;
  let closing = false;

  const connect = async (): Promise<Line> => {
    opening += 1;
    const sql = dial({
      ...settings,
      max: 1,
      // What the driver holds back beyond this it would send over a new connection when this one is cut.
      max_pipeline: 100_000,
      onclose: () => drop(line),
    } as Options);
    let open = true;
    const line: Line = {
      sql,
      isOpen: () => open,
      close() {
        open = false;
        void sql.end({ timeout: 0 });
      },
    };
    try {
      // First a connection, then statements: those sent to one that is not there yet would run one by one, later.
      await sql`select 1`;
      if (!line.isOpen()) throw new ConnectionLost();
      all.add(line);
      return line;
    } catch (error) {
      drop(line);
      throw error;
    } finally {
      opening -= 1;
    }
  };
  const drop = (line: Line): void => {
    if (!line.isOpen()) return;
    line.close();
    all.delete(line);
    const at = idle.indexOf(line);
    if (at >= 0) idle.splice(at, 1);
    serve();
  };
  /** Somebody waits and there is room for a connection: it is theirs. */
  const serve = (): void => {
    if (all.size + opening >= linesMax) return;
    const next = waiting.shift();
    if (next === undefined) return;
    connect()
      .then(
        (line) => next.resolve(line),
        (error: unknown) => next.reject(error),
      )
      .finally(serve);
  };
  return {
    async take() {
      if (closing) throw new ConnectionLost();
      const line = idle.pop();
      if (line !== undefined) return line;
      return new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        serve();
      });
    },
    give(line) {
      if (!line.isOpen()) return;
      const next = waiting.shift();
      if (next !== undefined) next.resolve(line);
      else idle.push(line);
    },
    count: () => ({ open: all.size, idle: idle.length, waiting: waiting.length }),
    async close() {
      closing = true;
      for (const entry of waiting.splice(0)) entry.reject(new ConnectionLost());
      await Promise.all([...all].map((line) => line.sql.end({ timeout: 5 })));
    },
  };
}

/** Nobody knows whether what was under way was committed. */
class ConnectionLost extends Error {
  readonly code = "CONNECTION_CLOSED";
  constructor() {
    super("The connection to the database was lost.");
  }
}

async function transact<T>(
  lines: Lines,
  role: "airlock_app" | "airlock_system",
  tenant: string,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  const line = await lines.take();
  const { sql } = line;
  const lasts: Promise<unknown>[] = [];
  try {
    if (!line.isOpen()) throw new ConnectionLost();
    // Not awaited: the first statements of `work` travel with these in one round trip.
    const opened = Promise.all([
      sql`begin`.execute(),
      sql`select set_config('role', ${role}, true), set_config('airlock.tenant', ${tenant}, true)`.execute(),
    ]);
    opened.catch(() => undefined);
    const send = (
      template: TemplateStringsArray,
      ...parameters: readonly postgres.ParameterOrFragment<never>[]
    ) => {
      if (!line.isOpen()) throw new ConnectionLost();
      return sql(template, ...parameters);
    };
    const last = <R extends readonly (object | undefined)[]>(query: postgres.PendingQuery<R>) => {
      const sent = query.execute() as Promise<postgres.RowList<R>>;
      sent.catch(() => undefined);
      lasts.push(sent);
      return sent;
    };
    const result = await work(
      Object.assign(send, { unsafe: (text: string) => sql.unsafe(text), last }) as unknown as Tx,
    );
    await opened;
    if (!line.isOpen()) throw new ConnectionLost();
    const commit = sql`commit`.execute();
    await Promise.all([...lasts, commit]);
    // A failed statement in a pipeline makes COMMIT succeed with this tag, and nothing was written.
    if ((await commit).command === "ROLLBACK")
      throw new Error("The transaction was rolled back at commit.");
    return result;
  } catch (error) {
    if (line.isOpen()) await sql`rollback`.catch(() => undefined);
    throw error;
  } finally {
    lines.give(line);
  }
}

async function sendWhole<T extends readonly (object | undefined)[]>(
  lines: Lines,
  tenant: string,
  statement: (sql: Sql) => postgres.PendingQuery<T>,
): Promise<postgres.RowList<T>> {
  const line = await lines.take();
  const { sql } = line;
  try {
    if (!line.isOpen()) throw new ConnectionLost();
    const opened = sql`begin`.execute();
    const fenced =
      sql`select set_config('role', 'airlock_app', true), set_config('airlock.tenant', ${tenant}, true)`.execute();
    const answer = statement(sql as unknown as Sql).execute() as Promise<postgres.RowList<T>>;
    const commit = sql`commit`.execute();
    const sent = [opened, fenced, answer, commit];
    for (const part of sent) part.catch(() => undefined);
    await Promise.all(sent);
    if ((await commit).command === "ROLLBACK")
      throw new Error("The transaction was rolled back at commit.");
    return await answer;
  } catch (error) {
    if (line.isOpen()) await sql`rollback`.catch(() => undefined);
    throw error;
  } finally {
    lines.give(line);
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
