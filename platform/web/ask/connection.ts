/** Whether the server answers: one small store that the banner reads and every request writes. */
import { useSyncExternalStore } from "react";

export type Connection =
  | { readonly kind: "up" }
  | { readonly kind: "lost"; readonly since: number };

let connection: Connection = { kind: "up" };
const listeners = new Set<() => void>();

export function reached(): void {
  if (connection.kind === "up") return;
  connection = { kind: "up" };
  for (const hear of listeners) hear();
}

export function lost(): void {
  if (connection.kind === "lost") return;
  connection = { kind: "lost", since: Date.now() };
  for (const hear of listeners) hear();
}

export function onConnection(hear: () => void): () => void {
  listeners.add(hear);
  return () => listeners.delete(hear);
}

export const connectionNow = (): Connection => connection;
export const useConnection = (): Connection => useSyncExternalStore(onConnection, connectionNow);
