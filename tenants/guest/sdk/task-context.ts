import { AsyncLocalStorage } from "node:async_hooks";
import type { Context } from "./author-types.ts";

const current = new AsyncLocalStorage<Context>();

/** The context of the running task, from any function it called. Throws outside a task. */
export function useContext(): Context {
  const context = current.getStore();
  if (context === undefined)
    throw new Error("useContext() works only while a task runs, not while the file is read");
  return context;
}

export const withContext = <T>(context: Context, work: () => T): T => current.run(context, work);
