import { randomUUID } from "node:crypto";
import { SecretUnreadable } from "../../secrets/keyring.ts";
import type { Ask } from "../endpoint.ts";

/**
 * A stored secret for showing. One that cannot be opened (tampered with, or its platform key is gone) is told to
 * the log and shown as `instead`: the rest of a list must stay readable, and the row replaceable.
 */
export async function shownSecret<T>(
  ask: Ask<unknown, unknown>,
  name: string,
  instead: T,
  open: () => Promise<T>,
): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof SecretUnreadable)) throw error;
    ask.deps.onSurprise(error, { id: randomUUID(), method: ask.request.method, path: name });
    return instead;
  }
}
