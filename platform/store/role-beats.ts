import type { Tx } from "./open.ts";

export const beatRole = (tx: Tx, role: "scheduler" | "sync") => tx`
  insert into airlock.role_beat (role, at) values (${role}, clock_timestamp())
  on conflict (role) do update set at = excluded.at`;

export async function readRoleBeats(
  tx: Tx,
): Promise<{ readonly scheduler: Date | null; readonly sync: Date | null }> {
  const rows = await tx<{ role: string; at: Date }[]>`select role, at from airlock.role_beat`;
  const at = (role: string): Date | null => rows.find((row) => row.role === role)?.at ?? null;
  return { scheduler: at("scheduler"), sync: at("sync") };
}
