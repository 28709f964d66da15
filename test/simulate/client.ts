/**
 * The driver's client, as far as `platform/store` uses it: a tag that sends statements down one connection, in order
 * and without waiting. What it speaks with is the simulated server, over a network that is slow now and then.
 */
import type postgres from "postgres";
import type { Dial } from "../../platform/store/open.ts";
import { type Known, recognize } from "./database/recognize.ts";
import { type Handler, type Server, type Session, SqlError } from "./database/server.ts";
import type { Process } from "./world.ts";

/** What is planted in place of the model of a statement. */
export type Planted = ReadonlyMap<string, (handler: Handler) => Handler>;

export const dialInto =
  (server: Server, owner: Process, planted: Planted): Dial =>
  (settings) => {
    const { onclose } = settings as { onclose?: () => void };
    return new Connection(server, owner, planted, onclose).tag;
  };

type Rows = readonly object[] & { readonly count: number; readonly command: string };

class Connection {
  readonly #server: Server;
  readonly #owner: Process;
  readonly #planted: Planted;
  /** undefined: nobody asked to hear it; then the driver opens another connection at the next statement. */
  readonly #onClose: (() => void) | undefined;
  #session: Session | undefined;
  #ended = false;
  readonly #pending = new Set<(error: unknown) => void>();
  readonly tag: postgres.Sql;

  constructor(server: Server, owner: Process, planted: Planted, onClose: (() => void) | undefined) {
    this.#server = server;
    this.#owner = owner;
    this.#planted = planted;
    this.#onClose = onClose;
    const tag = (first: TemplateStringsArray, ...parameters: unknown[]): Query => {
      if (!("raw" in first)) throw new Error("the simulated client puts no names into statements");
      return new Query(this, first, parameters);
    };
    this.tag = Object.assign(tag, {
      end: () => this.#end(),
      listen: (channel: string, onNotify: (payload: string) => void, onListen?: () => void) =>
        this.#listen(channel, onNotify, onListen),
    }) as unknown as postgres.Sql;
  }

  send(query: Query): Promise<Rows> {
    const { name, handler } = query.known();
    const { parameters } = query;
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(new SqlError("CONNECTION_ENDED", "write CONNECTION_ENDED"));
        return;
      }
      const session = this.#open();
      if (session === undefined) {
        // Refused: the driver says so a moment later, and that the connection is closed.
        this.#ended = this.#onClose !== undefined;
        this.#server.world.after(this.#server.latency(), this.#owner, () => {
          reject(new SqlError("ECONNREFUSED", "connect ECONNREFUSED"));
          this.#onClose?.();
        });
        return;
      }
      this.#pending.add(reject);
      const { world } = this.#server;
      session.toServerAt = Math.max(session.toServerAt, world.nowMs + this.#server.latency());
      world.after(session.toServerAt - world.nowMs, undefined, () =>
        this.#server.arrive(session, {
          name,
          handler: this.#planted.get(name)?.(handler) ?? handler,
          parameters,
          answer: (error, rows, command) => {
            if (!this.#pending.delete(reject)) return;
            if (error !== undefined) reject(error as Error);
            else resolve(Object.assign([...rows], { count: rows.length, command }));
          },
        }),
      );
    });
  }

  #open(): Session | undefined {
    if (this.#session !== undefined) return this.#session;
    if (this.#server.isDown) return undefined;
    const { world } = this.#server;
    const session = this.#server.connect(this.#owner, () => {
      // What was on its way to us still arrives; then we hear that the line is dead.
      session.toClientAt = Math.max(session.toClientAt, world.nowMs + this.#server.latency());
      world.after(session.toClientAt - world.nowMs, this.#owner, () => this.#lost());
    });
    session.toServerAt = world.nowMs + this.#server.latency();
    this.#session = session;
    return session;
  }

  #lost(): void {
    if (this.#ended) return;
    this.#ended = this.#onClose !== undefined;
    this.#session = undefined;
    for (const reject of this.#pending)
      reject(new SqlError("CONNECTION_CLOSED", "write CONNECTION_CLOSED"));
    this.#pending.clear();
    this.#onClose?.();
  }

  async #end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    const session = this.#session;
    for (const reject of this.#pending)
      reject(new SqlError("CONNECTION_DESTROYED", "write CONNECTION_DESTROYED"));
    this.#pending.clear();
    if (session !== undefined) this.#server.hangUp(session, session.inbox.length);
    this.#onClose?.();
  }

  /** The driver keeps one connection for LISTEN and opens another when it is lost; what rings meanwhile is not heard. */
  #listen(
    channel: string,
    onNotify: (payload: string) => void,
    onListen?: () => void,
  ): Promise<void> {
    return new Promise((resolve) => {
      const { world } = this.#server;
      const again = (): void => {
        if (this.#ended) return;
        if (this.#server.isDown) {
          world.after(200, this.#owner, again);
          return;
        }
        const session = this.#server.connect(this.#owner, () => {
          world.after(100 + this.#server.latency(), this.#owner, again);
        });
        world.after(this.#server.latency(), this.#owner, () => {
          if (session.over) return;
          session.channels.set(channel, onNotify);
          onListen?.();
          resolve();
        });
      };
      again();
    });
  }
}

/** A statement that is sent when somebody waits for it or says so; inside another one it is a piece of its text. */
class Query implements PromiseLike<Rows> {
  readonly #connection: Connection;
  readonly #strings: TemplateStringsArray;
  readonly #parameters: readonly unknown[];
  #flat: unknown[] | undefined;
  #known: Known | undefined;
  #sent: Promise<Rows> | undefined;

  constructor(
    connection: Connection,
    strings: TemplateStringsArray,
    parameters: readonly unknown[],
  ) {
    this.#connection = connection;
    this.#strings = strings;
    this.#parameters = parameters;
  }

  get parameters(): readonly unknown[] {
    return (this.#flat ??= this.#parameters.flatMap((one) =>
      one instanceof Query ? one.parameters : [one],
    ));
  }

  known(): Known {
    return (this.#known ??= this.#parameters.some((one) => one instanceof Query)
      ? recognize(this.text())
      : knownOf(this.#strings, () => this.text()));
  }

  text(): string {
    const parts = this.#strings.map((string, i) => {
      const one = this.#parameters[i];
      return one instanceof Query
        ? string + one.text()
        : i < this.#parameters.length
          ? `${string}?`
          : string;
    });
    return parts.join("").replace(/\s+/g, " ").trim();
  }

  execute(): this {
    this.#sent ??= this.#connection.send(this);
    return this;
  }

  // oxlint-disable-next-line unicorn/no-thenable -- as the driver's
  then<A = Rows, B = never>(
    onDone?: ((rows: Rows) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#promise().then(onDone, onError);
  }
  catch<B>(onError: (error: unknown) => B | PromiseLike<B>): Promise<Rows | B> {
    return this.#promise().catch(onError);
  }
  finally(after: () => void): Promise<Rows> {
    return this.#promise().finally(after);
  }
  #promise(): Promise<Rows> {
    return (this.#sent ??= this.#connection.send(this));
  }
}

const byStrings = new WeakMap<TemplateStringsArray, Known>();
function knownOf(strings: TemplateStringsArray, text: () => string): Known {
  const before = byStrings.get(strings);
  if (before !== undefined) return before;
  const found = recognize(text());
  byStrings.set(strings, found);
  return found;
}
