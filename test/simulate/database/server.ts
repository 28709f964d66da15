/**
 * A Postgres in memory, as far as the house can tell: sessions, pipelined statements, transactions under READ
 * COMMITTED with one snapshot per statement, row locks that others wait for (and that may deadlock), SKIP LOCKED,
 * unique keys, advisory locks, NOTIFY at commit, its own clock, its time limits. What each statement does is in
 * `statements/`; here is when, and who sees what.
 */
import type { Dice } from "../dice.ts";
import { epochMs, type Process, type World } from "../world.ts";
import type { Facts } from "./statements/admission.ts";
import { type Change, openTables, type Table, type Tables } from "./tables.ts";

export class SqlError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** What a statement waits for: a lock, or (undefined) its turn, so that others get in between. */
export type Wait = Lock | undefined;
/** One statement, as far as it can go without waiting. */
export type Running = Generator<Wait, readonly object[], void>;
export type Handler = (s: Statement, p: readonly unknown[]) => Running;

export type Message = {
  readonly name: string;
  readonly handler: Handler;
  readonly parameters: readonly unknown[];
  readonly answer: (error: unknown, rows: readonly object[], command: string) => void;
};

class Lock {
  readonly name: string;
  holder: Transaction | undefined;
  /** FOR SHARE: any number, while nobody holds it alone. */
  readonly sharers = new Set<Transaction>();
  readonly waiting: Session[] = [];
  constructor(name: string) {
    this.name = name;
  }
}

export class Transaction {
  readonly session: Session;
  readonly explicit: boolean;
  tenant = "";
  failed = false;
  readonly written = new Map<Table<object>, Map<string, object | undefined>>();
  readonly locks = new Set<Lock>();
  readonly xactLocks: string[] = [];
  readonly notes: { readonly channel: string; readonly payload: string }[] = [];
  readonly changes: Change[] = [];
  /** What statements tell the invariants of themselves, beside what they write. */
  readonly told: Told[] = [];
  constructor(session: Session, explicit: boolean) {
    this.session = session;
    this.explicit = explicit;
  }
}

export type Told =
  | {
      readonly kind: "ended";
      readonly attempt: string;
      readonly fence: number;
      readonly worker: string;
    }
  /** What is true of a worker's wish to go on, as the transaction could see it. */
  | { readonly kind: "facts"; readonly facts: Facts }
  | { readonly kind: "fired"; readonly timer: string }
  | { readonly kind: "continued"; readonly attempt: string; readonly after: string }
  /** Whom admission chose, and whom the engine's rule chooses of what it saw. */
  | {
      readonly kind: "admitted";
      readonly chosen: readonly string[];
      readonly byRule: readonly string[];
      /** Somebody else held a row: then not all were chosen. */
      readonly missed: boolean;
    };

/** A connection, as the server sees it. */
export class Session {
  readonly id: number;
  readonly process: Process | undefined;
  readonly inbox: Message[] = [];
  readonly outbox: (() => void)[] = [];
  readonly advisory = new Set<string>();
  readonly channels = new Map<string, (payload: string) => void>();
  transaction: Transaction | undefined;
  running:
    | { readonly statement: Statement; readonly steps: Running; readonly message: Message }
    | undefined;
  waitsFor: Lock | undefined;
  waitsToShare = false;
  waitingSince = 0;
  idleSince = 0;
  scheduled = false;
  /** Statements that still reached the server before the client was gone. */
  over = false;
  /** The client hears it when the server ends the session. */
  onEnded: () => void;
  /** When the last thing on its way to the client or to the server arrives: nothing overtakes. */
  toClientAt = 0;
  toServerAt = 0;
  constructor(id: number, process: Process | undefined, onEnded: () => void) {
    this.id = id;
    this.process = process;
    this.onEnded = onEnded;
  }
}

export type Commit = {
  readonly transaction: Transaction;
  /** Rows before and after, of each that changed. */
  readonly rows: readonly {
    readonly table: Table<object>;
    readonly key: string;
    readonly before: object | undefined;
    readonly after: object | undefined;
  }[];
};

const lockTimeoutMs = 30_000;
const idleTimeoutMs = 30_000;

export class Server {
  readonly world: World;
  readonly dice: Dice;
  readonly tables: Tables = openTables();
  readonly onCommit: (commit: Commit) => void;
  /** What Postgres' clock is ahead of true time. */
  clockAheadMs = 0;
  isDown = false;
  commits = 0;
  /** Lost and late messages: how likely, as the weather has it. */
  notifyLoss = 0;
  /** Means, in milliseconds: the slower, the more of the house is under way at once. */
  statementMs = 0.05;
  networkMs = 0.2;
  /** Whether a session ends right before or right after a COMMIT of it: then its client cannot know which. */
  fateOfCommit: (session: Session) => "before" | "after" | undefined = () => undefined;
  statements = 0;
  readonly sequences = { run: 1, lock: 1, job: 1 };
  readonly #sessions = new Set<Session>();
  readonly #locks = new Map<string, Lock>();
  readonly #advisory = new Map<string, Session | Transaction>();
  readonly #snapshots = new Map<Statement, number>();
  #ids = 1;

  constructor(world: World, dice: Dice, onCommit: (commit: Commit) => void) {
    this.world = world;
    this.dice = dice;
    this.onCommit = onCommit;
  }

  clock(): number {
    return epochMs + this.world.nowMs + this.clockAheadMs;
  }

  connect(process: Process | undefined, onEnded: () => void): Session {
    const session = new Session(this.#ids++, process, onEnded);
    session.idleSince = this.world.nowMs;
    this.#sessions.add(session);
    return session;
  }

  sessions(): Session[] {
    return [...this.#sessions];
  }

  /** The message is there; it runs once those before it have. */
  arrive(session: Session, message: Message): void {
    if (session.over) return;
    session.inbox.push(message);
    this.#wake(session);
  }

  /** The client is gone. What it had sent until then still runs, which may be its COMMIT. */
  hangUp(session: Session, keep: number): void {
    if (session.over) return;
    session.inbox.splice(keep);
    session.onEnded = () => undefined;
    session.inbox.push({
      name: "end of file",
      handler: endOfFile,
      parameters: [],
      answer: () => undefined,
    });
    this.#wake(session);
  }

  /** By an administrator, a time limit, a restart: what is not committed never was. */
  terminate(session: Session): void {
    if (session.over) return;
    session.over = true;
    this.#sessions.delete(session);
    if (session.waitsFor !== undefined) {
      const { waiting } = session.waitsFor;
      const at = waiting.indexOf(session);
      if (at >= 0) waiting.splice(at, 1);
      session.waitsFor = undefined;
    }
    this.#finish(session);
    if (session.transaction !== undefined) this.#rollback(session.transaction);
    session.transaction = undefined;
    for (const name of session.advisory) this.#advisory.delete(name);
    session.inbox.length = 0;
    session.onEnded();
  }

  /** A transaction of nobody's: how the world is arranged, and what people do past the house. */
  arrange(work: (s: Statement) => void): void {
    const session = this.connect(undefined, () => undefined);
    const transaction = new Transaction(session, false);
    session.transaction = transaction;
    const statement = new Statement(this, transaction);
    work(statement);
    this.#commit(transaction);
    session.transaction = undefined;
    this.#sessions.delete(session);
  }

  // ---- locks ------------------------------------------------------------------------------------------

  lockOf(name: string): Lock {
    const found = this.#locks.get(name);
    if (found !== undefined) return found;
    const made = new Lock(name);
    this.#locks.set(name, made);
    return made;
  }

  /** Whether it is this transaction's now. */
  tryLock(transaction: Transaction, name: string): boolean {
    const lock = this.lockOf(name);
    if (lock.holder !== undefined && lock.holder !== transaction) return false;
    for (const sharer of lock.sharers) if (sharer !== transaction) return false;
    lock.holder = transaction;
    transaction.locks.add(lock);
    return true;
  }

  tryShare(transaction: Transaction, name: string): boolean {
    const lock = this.lockOf(name);
    if (lock.holder !== undefined && lock.holder !== transaction) return false;
    // Whoever waits to hold it alone was first.
    if (lock.waiting.length > 0 && !lock.sharers.has(transaction)) return false;
    lock.sharers.add(transaction);
    transaction.locks.add(lock);
    return true;
  }

  /** Whether somebody else holds the row and has written to it, so that nobody knows yet what becomes of it. */
  isBeingWritten<R extends object>(
    transaction: Transaction,
    name: string,
    table: Table<R>,
    key: string,
  ): boolean {
    const holder = this.#locks.get(name)?.holder;
    if (holder === undefined || holder === transaction) return false;
    return holder.written.get(table as unknown as Table<object>)?.has(key) === true;
  }

  unlock(transaction: Transaction, name: string): void {
    const lock = this.#locks.get(name);
    if (lock?.holder !== transaction) return;
    transaction.locks.delete(lock);
    this.#pass(lock, transaction);
  }

  tryAdvisory(owner: Session | Transaction, name: string): boolean {
    const held = this.#advisory.get(name);
    const session = owner instanceof Session ? owner : owner.session;
    const holder = held instanceof Transaction ? held.session : held;
    if (holder !== undefined && holder !== session) return false;
    if (held === undefined) {
      this.#advisory.set(name, owner);
      if (owner instanceof Session) owner.advisory.add(name);
      else owner.xactLocks.push(name);
    }
    return true;
  }

  // ---- how a session goes on --------------------------------------------------------------------------

  #wake(session: Session): void {
    if (session.scheduled || session.over || session.waitsFor !== undefined) return;
    session.scheduled = true;
    // A statement takes a moment, so that those of others get in between.
    this.world.after(this.dice.rarely(this.statementMs), undefined, () => {
      session.scheduled = false;
      this.#goOn(session);
    });
  }

  #goOn(session: Session): void {
    if (session.over || session.waitsFor !== undefined) return;
    if (session.running === undefined) {
      const message = session.inbox.shift();
      if (message === undefined) {
        session.idleSince = this.world.nowMs;
        this.#flush(session);
        if (session.transaction !== undefined) this.#watchIdle(session);
        return;
      }
      this.#begin(session, message);
    }
    this.#step(session);
  }

  #begin(session: Session, message: Message): void {
    this.statements += 1;
    const transaction = session.transaction ?? new Transaction(session, false);
    session.transaction = transaction;
    const statement = new Statement(this, transaction);
    session.running = { statement, steps: message.handler(statement, message.parameters), message };
  }

  #step(session: Session): void {
    const { running, transaction } = session;
    if (running === undefined || transaction === undefined) return;
    const { message } = running;
    const endsAWrite =
      message.handler === commit && transaction.written.size > 0 && !transaction.failed;
    const fate = endsAWrite ? this.fateOfCommit(session) : undefined;
    if (fate === "before") {
      this.terminate(session);
      return;
    }
    const isControl =
      message.handler === commit || message.handler === rollback || message.handler === endOfFile;
    try {
      if (transaction.failed && !isControl)
        throw new SqlError("25P02", "current transaction is aborted");
      const { done, value } = running.steps.next();
      if (done !== true) {
        if (value === undefined) {
          this.#snapshots.set(running.statement, running.statement.snapshot);
          this.#wake(session);
        } else this.#wait(session, value);
        return;
      }
      this.#finish(session);
      if (session.over) return;
      const command = message.handler === commit && transaction.failed ? "ROLLBACK" : "";
      if (message.handler === begin) session.transaction = new Transaction(session, true);
      else if (
        message.handler === commit ||
        message.handler === rollback ||
        !transaction.explicit
      ) {
        if (transaction.failed || message.handler === rollback) this.#rollback(transaction);
        else this.#commit(transaction);
        session.transaction = undefined;
      }
      if (fate === "after") {
        this.terminate(session);
        return;
      }
      session.outbox.push(() => message.answer(undefined, value, command));
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      this.#finish(session);
      transaction.failed = true;
      if (!transaction.explicit) {
        this.#rollback(transaction);
        session.transaction = undefined;
      }
      session.outbox.push(() => message.answer(error, [], ""));
    }
    this.#wake(session);
  }

  #finish(session: Session): void {
    if (session.running !== undefined) this.#snapshots.delete(session.running.statement);
    session.running = undefined;
  }

  #wait(session: Session, lock: Lock): void {
    const { running } = session;
    if (running !== undefined) this.#snapshots.set(running.statement, running.statement.snapshot);
    lock.waiting.push(session);
    session.waitsFor = lock;
    const since = (session.waitingSince = this.world.nowMs);
    if (this.#isCircle(session)) {
      this.#giveUp(session, new SqlError("40P01", "deadlock detected"));
      return;
    }
    this.world.after(lockTimeoutMs, undefined, () => {
      if (session.waitsFor === lock && session.waitingSince === since)
        this.#giveUp(session, new SqlError("55P03", "canceling statement due to lock timeout"));
    });
  }

  #isCircle(from: Session): boolean {
    const seen = new Set<Session>();
    const next = [from];
    for (let at = next.pop(); at !== undefined; at = next.pop()) {
      const lock = at.waitsFor;
      if (lock === undefined) continue;
      for (const holder of [lock.holder, ...lock.sharers]) {
        const session = holder?.session;
        if (session === from && at !== from) return true;
        if (session === undefined || session === at || seen.has(session)) continue;
        seen.add(session);
        next.push(session);
      }
    }
    return false;
  }

  #giveUp(session: Session, error: SqlError): void {
    const lock = session.waitsFor;
    const { running, transaction } = session;
    if (lock === undefined || running === undefined || transaction === undefined) return;
    lock.waiting.splice(lock.waiting.indexOf(session), 1);
    session.waitsFor = undefined;
    session.waitsToShare = false;
    this.#finish(session);
    transaction.failed = true;
    if (!transaction.explicit) {
      this.#rollback(transaction);
      session.transaction = undefined;
    }
    session.outbox.push(() => running.message.answer(error, [], ""));
    this.#wake(session);
  }

  #watchIdle(session: Session): void {
    const since = session.idleSince;
    this.world.after(idleTimeoutMs, undefined, () => {
      if (
        session.transaction !== undefined &&
        session.idleSince === since &&
        session.running === undefined &&
        session.inbox.length === 0
      )
        this.terminate(session);
    });
  }

  /** What was answered meanwhile goes to the client in one go. */
  #flush(session: Session): void {
    if (session.outbox.length === 0) return;
    const answers = session.outbox.splice(0);
    const { process, world } = { process: session.process, world: this.world };
    if (process === undefined) return;
    session.toClientAt = Math.max(session.toClientAt, world.nowMs + this.latency());
    world.after(session.toClientAt - world.nowMs, process, () => {
      for (const answer of answers) answer();
    });
  }

  /** The network's: mostly a fraction of a millisecond, sometimes far more. */
  latency(): number {
    return (
      0.05 + this.dice.rarely(this.networkMs) + (this.dice.chance(0.02) ? this.dice.rarely(30) : 0)
    );
  }

  // ---- transactions -----------------------------------------------------------------------------------

  oldestSnapshot(): number {
    let oldest = this.commits + 1;
    for (const at of this.#snapshots.values()) oldest = Math.min(oldest, at);
    return oldest;
  }

  #commit(transaction: Transaction): void {
    if (transaction.written.size > 0 || transaction.changes.length > 0) {
      this.commits += 1;
      const oldest =
        this.#snapshots.size === 0 ? this.commits : Math.min(this.oldestSnapshot(), this.commits);
      const rows: Commit["rows"][number][] = [];
      for (const [table, written] of transaction.written)
        for (const [key, after] of written) {
          const before = table.at(key, Number.POSITIVE_INFINITY);
          if (before === after) continue;
          table.write(key, after, this.commits, oldest);
          rows.push({ table, key, before, after });
        }
      this.#release(transaction);
      this.onCommit({ transaction, rows });
    } else this.#release(transaction);
    for (const note of transaction.notes) this.#tell(note.channel, note.payload);
  }

  #rollback(transaction: Transaction): void {
    this.#release(transaction);
  }

  #release(transaction: Transaction): void {
    for (const name of transaction.xactLocks) this.#advisory.delete(name);
    for (const lock of transaction.locks) this.#pass(lock, transaction);
    transaction.locks.clear();
  }

  /** Whoever is next has it at once, and goes on from where it waited. */
  #pass(lock: Lock, from: Transaction): void {
    if (lock.holder === from) lock.holder = undefined;
    lock.sharers.delete(from);
    for (let next = lock.waiting[0]; next !== undefined; next = lock.waiting[0]) {
      const { transaction, waitsToShare } = next;
      if (lock.holder !== undefined || (!waitsToShare && lock.sharers.size > 0)) return;
      lock.waiting.shift();
      next.waitsFor = undefined;
      if (transaction !== undefined) {
        if (waitsToShare) lock.sharers.add(transaction);
        else lock.holder = transaction;
        transaction.locks.add(lock);
      }
      this.#wake(next);
    }
    if (lock.holder === undefined && lock.sharers.size === 0) this.#locks.delete(lock.name);
  }

  #tell(channel: string, payload: string): void {
    for (const session of this.#sessions) {
      const heard = session.channels.get(channel);
      if (heard === undefined || this.dice.chance(this.notifyLoss)) continue;
      this.world.after(this.latency(), session.process, () => {
        if (!session.over) heard(payload);
      });
    }
  }
}

/** One statement: what it sees, and what it does to rows. */
export class Statement {
  readonly server: Server;
  readonly transaction: Transaction;
  readonly tables: Tables;
  snapshot: number;

  constructor(server: Server, transaction: Transaction) {
    this.server = server;
    this.transaction = transaction;
    this.tables = server.tables;
    this.snapshot = server.commits;
  }

  get clock(): number {
    return this.server.clock();
  }

  /** Inside a function each query sees anew. */
  renew(): void {
    this.snapshot = this.server.commits;
  }

  get<R extends object>(table: Table<R>, key: string): R | undefined {
    const own = this.transaction.written.get(table as unknown as Table<object>);
    return own?.has(key) === true ? (own.get(key) as R | undefined) : table.at(key, this.snapshot);
  }

  /** The row as it is now, whatever the snapshot: what whoever waited for its lock goes on with. */
  newest<R extends object>(table: Table<R>, key: string): R | undefined {
    const own = this.transaction.written.get(table as unknown as Table<object>);
    return own?.has(key) === true
      ? (own.get(key) as R | undefined)
      : table.at(key, Number.POSITIVE_INFINITY);
  }

  all<R extends object>(table: Table<R>, group?: string): R[] {
    const found: R[] = [];
    const own = this.transaction.written.get(table as unknown as Table<object>) as
      | Map<string, R | undefined>
      | undefined;
    for (const key of table.keysOf(group)) {
      const row = own?.has(key) === true ? own.get(key) : table.at(key, this.snapshot);
      if (row !== undefined) found.push(row);
    }
    if (own !== undefined)
      for (const [key, row] of own)
        if (
          row !== undefined &&
          table.at(key, Number.POSITIVE_INFINITY) === undefined &&
          (group === undefined || table.groupOf(row) === group)
        )
          found.push(row);
    return found;
  }

  *lock<R extends object>(table: Table<R>, key: string): Generator<Wait, R | undefined, void> {
    const name = `${table.name} ${key}`;
    if (!this.server.tryLock(this.transaction, name)) yield this.server.lockOf(name);
    return this.newest(table, key);
  }

  *share<R extends object>(table: Table<R>, key: string): Generator<Wait, void, void> {
    const name = `${table.name} ${key}`;
    if (this.server.tryShare(this.transaction, name)) return;
    this.transaction.session.waitsToShare = true;
    yield this.server.lockOf(name);
    this.transaction.session.waitsToShare = false;
  }

  tryLock<R extends object>(table: Table<R>, key: string): boolean {
    return this.server.tryLock(this.transaction, `${table.name} ${key}`);
  }

  /**
   * What an UPDATE or a SELECT … FOR UPDATE does with each row that it finds: lock it, and if somebody changed it
   * meanwhile ask again whether it is meant.
   */
  *lockMatching<R extends object>(
    table: Table<R>,
    rows: readonly R[],
    isMeant: (row: R) => boolean,
  ): Generator<Wait, R[], void> {
    const found: R[] = [];
    for (const row of rows) {
      if (!isMeant(row)) continue;
      const now = yield* this.lock(table, table.keyOf(row));
      if (now !== undefined && isMeant(now)) found.push(now);
    }
    return found;
  }

  put<R extends object>(table: Table<R>, row: R): void {
    const key = table.keyOf(row);
    for (const unique of table.uniques) {
      const name = unique(row);
      if (name === undefined) continue;
      for (const other of this.#rivals(table, row))
        if (unique(other) === name && table.keyOf(other) !== key)
          throw new SqlError("23505", `duplicate key in ${table.name}: ${name}`);
    }
    this.#own(table).set(key, row);
  }

  /** An INSERT: waits for whoever is inserting the same key. false: there is such a row. */
  *insert<R extends object>(table: Table<R>, row: R): Generator<Wait, boolean, void> {
    const key = table.keyOf(row);
    const names = [`key ${key}`, ...table.uniques.map((unique) => unique(row))];
    for (const name of names) {
      if (name === undefined) continue;
      const lock = `new ${table.name} ${name}`;
      if (!this.server.tryLock(this.transaction, lock)) yield this.server.lockOf(lock);
    }
    for (;;) {
      const twin = this.#twinOf(table, row);
      if (twin === undefined) {
        this.#own(table).set(key, row);
        return true;
      }
      // Somebody is changing or deleting it: only the end of that transaction says whether it is in the way.
      const lock = `${table.name} ${table.keyOf(twin)}`;
      if (!this.server.isBeingWritten(this.transaction, lock, table, table.keyOf(twin)))
        return false;
      yield this.server.lockOf(lock);
      this.server.unlock(this.transaction, lock);
    }
  }

  #twinOf<R extends object>(table: Table<R>, row: R): R | undefined {
    const same = this.newest(table, table.keyOf(row));
    if (same !== undefined) return same;
    for (const unique of table.uniques) {
      const name = unique(row);
      if (name === undefined) continue;
      for (const other of this.#rivals(table, row)) if (unique(other) === name) return other;
    }
    return undefined;
  }

  /** As if there were no unique key. */
  putAnyway<R extends object>(table: Table<R>, row: R): void {
    this.#own(table).set(table.keyOf(row), row);
  }

  remove<R extends object>(table: Table<R>, row: R): void {
    this.#own(table).set(table.keyOf(row), undefined);
  }

  /** Rows of the same group, as they are now. */
  #rivals<R extends object>(table: Table<R>, row: R): R[] {
    const snapshot = this.snapshot;
    this.snapshot = Number.POSITIVE_INFINITY;
    const rows = this.all(table, table.groupOf(row));
    this.snapshot = snapshot;
    return rows;
  }

  #own<R extends object>(table: Table<R>): Map<string, R | undefined> {
    const key = table as unknown as Table<object>;
    let own = this.transaction.written.get(key);
    if (own === undefined) {
      own = new Map();
      this.transaction.written.set(key, own);
    }
    return own as Map<string, R | undefined>;
  }

  expect(wanted: number, touched: number): void {
    if (wanted !== touched)
      throw new SqlError("ALM01", `expected ${wanted} rows, found ${touched}: moved meanwhile`);
  }
}

// oxlint-disable-next-line require-yield
export const begin: Handler = function* () {
  return [];
};
// oxlint-disable-next-line require-yield
export const commit: Handler = function* () {
  return [];
};
// oxlint-disable-next-line require-yield
export const rollback: Handler = function* () {
  return [];
};
// oxlint-disable-next-line require-yield
const endOfFile: Handler = function* (s) {
  s.server.terminate(s.transaction.session);
  return [];
};
