/** What an author throws to end a task in a way of its own. Marked by symbols of the registry, so that two copies of this file agree. */
import type { Done } from "./author-types.ts";

const skipMark = Symbol.for("airlock.skip");
const failMark = Symbol.for("airlock.fail");

class Skip extends Error {
  override readonly name = "Skip";
  readonly [skipMark] = true;
}
class Fail extends Error {
  override readonly name = "Fail";
  readonly [failMark] = true;
  readonly retry: boolean;
  constructor(reason: string, retry: boolean, cause: unknown) {
    super(reason, cause === undefined ? {} : { cause });
    this.retry = retry;
  }
}

/** `throw skip("nothing new today")`: the task instance is skipped. */
export const skip = (reason: string): Error => new Skip(reason);

/** `throw fail("no such customer", { retry: false })`: no further try, whatever is left. */
export const fail = (
  reason: string,
  options: { readonly retry?: boolean; readonly cause?: unknown } = {},
): Error => new Fail(reason, options.retry ?? true, options.cause);

/** The answer of a sensor that brings a value. */
export const done = <T>(value: T): Done<T> => ({ done: true, value });

export const isSkip = (thrown: unknown): thrown is Error =>
  thrown instanceof Error && skipMark in thrown;
export const isFail = (thrown: unknown): thrown is Error & { readonly retry: boolean } =>
  thrown instanceof Error && failMark in thrown;
