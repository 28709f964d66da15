/**
 * The attempt's line to the supervisor: requests with exactly one answer each, and frames without. What it
 * needs of the language is kept from before the author's code ran, so that a patched global cannot
 * change what the last frame says.
 */
import { writeSync } from "node:fs";
import type { Socket } from "node:net";
import { isObject } from "../../../platform/model/json.ts";
import { FrameReader, frame } from "./frames.ts";

const { wait } = Atomics;

export type Body = { readonly type: string; readonly [field: string]: unknown };

export class SupervisorError extends Error {
  override readonly name = "SupervisorError";
  readonly code: string;
  constructor(code: string, detail: string) {
    super(detail);
    this.code = code;
  }
}

export class Line {
  readonly #socket: Socket;
  readonly #fd: number;
  readonly #reader = new FrameReader();
  readonly #waiting = new Map<
    number,
    { readonly resolve: (body: unknown) => void; readonly reject: (error: Error) => void }
  >();
  #lastId = 0;
  #ended = false;
  /** Resolves with the first frame, which nobody asked for. */
  readonly start: Promise<unknown>;

  constructor(socket: Socket, fd: number, onLost: (error: Error) => void) {
    this.#socket = socket;
    this.#fd = fd;
    this.start = new Promise((resolve, reject) => {
      this.#waiting.set(0, { resolve, reject });
    });
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const message of this.#reader.push(chunk)) this.#receive(message);
      } catch (error) {
        onLost(new Error("the supervisor's line is garbled", { cause: error }));
      }
    });
    socket.on("close", () => {
      onLost(new Error("the supervisor closed the line"));
    });
    socket.on("error", onLost);
  }

  /** Throws `SupervisorError` on an ErrorResponse (with its code) and on a failed request. */
  async ask(body: Body): Promise<{ readonly [field: string]: unknown }> {
    const id = ++this.#lastId;
    const answer = await new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      // Only while somebody waits does the line keep the process alive: a task whose promise nothing
      // will ever settle must end with a message, not hang until its timeout.
      this.#socket.ref();
      this.#write([id, body]);
    });
    const fields = isObject(answer) ? answer : {};
    if (fields["type"] === "ErrorResponse")
      throw new SupervisorError(
        String(fields["error"]),
        typeof fields["detail"] === "string" ? fields["detail"] : describe(fields["detail"], body),
      );
    return fields;
  }

  /** For frames that nobody answers. */
  tell(body: Body): void {
    this.#write([++this.#lastId, body]);
  }

  /**
   * The terminal frame: once, whole and written through before it returns, whatever state the author's code
   * left the event loop in.
   */
  end(body: Body): void {
    if (this.#ended) return;
    this.#ended = true;
    writeThrough(this.#fd, frame([++this.#lastId, body]));
  }

  get ended(): boolean {
    return this.#ended;
  }

  #write(message: unknown): void {
    // Written directly like the terminal frame, so that the two can never overtake each other.
    writeThrough(this.#fd, frame(message));
  }

  #receive(message: unknown): void {
    if (!Array.isArray(message)) throw new TypeError("a frame that is no list");
    const [id, body, error] = message as unknown[];
    const waiting = typeof id === "number" ? this.#waiting.get(id) : undefined;
    if (waiting === undefined || typeof id !== "number") return;
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#socket.unref();
    if (error === undefined || error === null) waiting.resolve(body);
    else
      waiting.reject(
        isObject(error)
          ? new SupervisorError(
              typeof error["error"] === "string" ? error["error"] : "GENERIC_ERROR",
              typeof error["detail"] === "string" ? error["detail"] : JSON.stringify(error),
            )
          : new SupervisorError("GENERIC_ERROR", JSON.stringify(error)),
      );
  }
}

const describe = (detail: unknown, body: Body): string =>
  detail === undefined || detail === null
    ? `${body.type} was refused`
    : JSON.stringify(detail).slice(0, 1000);

const pause = new Int32Array(new SharedArrayBuffer(4));

/** Writes all of it, also to a descriptor that does not block. */
export function writeThrough(fd: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
      wait(pause, 0, 0, 1);
    }
  }
}
