/** What every session says: BEGIN, its role and tenant, COMMIT, and the little things of a worker's own session. */
import { plain, statement } from "../recognize.ts";
import { begin, commit, rollback } from "../server.ts";

export function sessionStatements(): void {
  statement("begin", ["=begin"], begin);
  statement("commit", ["=commit"], commit);
  statement("rollback", ["=rollback"], rollback);
  statement(
    "ping",
    ["=select 1"],
    plain(() => [{ "?column?": 1 }]),
  );
  statement(
    "set role and tenant",
    ["set_config('role',", "set_config('airlock.tenant',"],
    plain((s, p) => {
      s.transaction.tenant = String(p.at(-1));
      return [{}];
    }),
  );
  statement(
    "clock",
    ["select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms"],
    plain((s) => [{ now_ms: Math.floor(s.clock) }]),
  );
  statement(
    "notify",
    ["set_config('synchronous_commit', 'off', true), pg_notify(?, ?)"],
    plain((s, [channel, payload]) => {
      s.transaction.notes.push({ channel: String(channel), payload: String(payload) });
      return [{}];
    }),
  );
  statement(
    "hold worker lock",
    ["select pg_try_advisory_lock(?, ?) as held"],
    plain((s, [space, key]) => [
      { held: s.server.tryAdvisory(s.transaction.session, `${String(space)} ${String(key)}`) },
    ]),
  );
}
