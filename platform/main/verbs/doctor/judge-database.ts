/** What the facts of a database mean for a platform on it. Pure: every line has a test. */
import type {
  DatabaseFacts,
  Examined,
  PlatformFacts,
  PlatformLife,
} from "../../../store/examine.ts";
import type { Finding } from "./finding.ts";

type Around = {
  readonly embedded: boolean;
  /** A server of this home is running. */
  readonly isRunning: boolean;
};

const oldestVersion = 15;
/** What the roles of one machine take at most, and people with psql. */
const connectionsWanted = 40;
const aliveWithinS = 60;

export function judgeDatabase(examined: Examined, around: Around): readonly Finding[] {
  if (!examined.ok) return [unreachable(examined, around)];
  const { facts } = examined;
  return [
    judgeServer(facts, around),
    judgeDurability(facts),
    judgeConnections(facts),
    judgeClock(facts),
    judgeLocks(facts),
    ...judgePlatform(facts.platform, around),
  ];
}

const unreachable = (
  { code, message }: Extract<Examined, { ok: false }>,
  { embedded }: Around,
): Finding => ({
  name: "postgres",
  state: "fail",
  found: `cannot be asked: ${message}${code === "" || message.includes(code) ? "" : ` (${code})`}`,
  hint: embedded
    ? "see the platform's log; the server's own lines are in it"
    : code.startsWith("28")
      ? "the user or password in DATABASE_URL is not accepted"
      : code === "3D000"
        ? "make the database that DATABASE_URL names: createdb"
        : "check host and port in DATABASE_URL, and that the server listens for this machine",
});

function judgeServer(facts: DatabaseFacts, { embedded }: Around): Finding {
  const name = "postgres";
  const found = `${facts.version}${embedded ? " (embedded)" : ""}, as ${facts.user}; a commit takes ${facts.commit_ms.toFixed(1)} ms`;
  if (facts.version < oldestVersion)
    return {
      name,
      state: "fail",
      found,
      hint: `upgrade to Postgres ${oldestVersion} or newer`,
    };
  if (!facts.may_make_roles)
    return facts.platform === undefined
      ? {
          name,
          state: "fail",
          found: `${found}; it may not make roles`,
          hint: `alter role ${facts.user} createrole; the platform makes airlock_app and airlock_system at its first start`,
        }
      : { name, state: "ok", found };
  if (facts.commit_ms > 50)
    return {
      name,
      state: "warn",
      found,
      hint: "each step of a run waits for commits: put Postgres on a quicker disk",
    };
  if (facts.is_superuser && !embedded)
    return {
      name,
      state: "warn",
      found: `${found}; a superuser`,
      hint: "createrole and the ownership of its database are enough",
    };
  return { name, state: "ok", found };
}

function judgeDurability({ settings }: DatabaseFacts): Finding {
  const name = "durability";
  const off = ["fsync", "full_page_writes", "synchronous_commit"].filter(
    (setting) => settings[setting] === "off",
  );
  return off.length === 0
    ? { name, state: "ok", found: `synchronous_commit ${settings["synchronous_commit"]}` }
    : {
        name,
        state: "fail",
        found: `${off.join(", ")} off: a crash of the machine loses what was committed, and runs twice what had ended`,
        hint: "turn it on in postgresql.conf and reload",
      };
}

function judgeConnections({ settings, connections }: DatabaseFacts): Finding {
  const name = "connections";
  const most =
    Number(settings["max_connections"]) - Number(settings["superuser_reserved_connections"] ?? 0);
  const found = `${connections} of ${most} in use`;
  if (most - connections < 5)
    return {
      name,
      state: "fail",
      found,
      hint: "raise max_connections, or end what holds them: select * from pg_stat_activity",
    };
  return most < connectionsWanted
    ? {
        name,
        state: "warn",
        found: `${found}; one machine with all roles takes up to ${connectionsWanted}`,
        hint: "raise max_connections",
      }
    : { name, state: "ok", found };
}

function judgeClock({ skew_ms: skew, skew_error_ms: error }: DatabaseFacts): Finding {
  const off = Math.max(0, Math.abs(skew) - error);
  const found = `${off < 1 ? "no" : `${(off / 1000).toFixed(off < 100 ? 3 : 1)} s of`} difference between this machine and Postgres`;
  const hint = "let both keep the same time (chrony, systemd-timesyncd)";
  return off > 30_000
    ? { name: "clock", state: "fail", found, hint }
    : off > 1_000
      ? { name: "clock", state: "warn", found, hint }
      : { name: "clock", state: "ok", found };
}

function judgeLocks({ blocked, long_transactions: long }: DatabaseFacts): Finding {
  const name = "locks";
  const [first] = blocked;
  if (first !== undefined)
    return {
      name,
      state: "warn",
      found: `${blocked.length} sessions wait for a lock, process ${first.pid} for ${first.s} s on ${first.by}`,
      hint: `look at it (select * from pg_stat_activity where pid = ${first.by}), then: select pg_terminate_backend(${first.by})`,
    };
  const [oldest] = long;
  if (oldest !== undefined)
    return {
      name,
      state: "warn",
      found: `a transaction of ${oldest.application || "an unnamed program"} (process ${oldest.pid}, ${oldest.state}) has been open for ${Math.round(oldest.s / 60)} minutes`,
      hint: `it keeps dead rows alive and may hold locks: select pg_terminate_backend(${oldest.pid})`,
    };
  return { name, state: "ok", found: "nobody waits" };
}

function judgePlatform(platform: PlatformFacts | undefined, around: Around): Finding[] {
  if (platform === undefined)
    return [
      {
        name: "migrations",
        state: "ok",
        found: "an empty database: the first start makes its tables",
      },
    ];
  const { migrations_missing: missing, migrations_unknown: unknown } = platform;
  const findings: Finding[] = [
    platform.migrations_changed.length > 0
      ? {
          name: "migrations",
          state: "fail",
          found: `${platform.migrations_changed.join(", ")} were applied with other contents than this release has`,
          hint: "run the release that applied them; a migration is never edited",
        }
      : unknown.length > 0
        ? {
            name: "migrations",
            state: "fail",
            found: `the database is newer than this release: ${unknown.join(", ")}`,
            hint: "run the newer release",
          }
        : missing.length > 0
          ? {
              name: "migrations",
              state: around.isRunning ? "fail" : "warn",
              found: `${missing.length} to come: ${missing.join(", ")}`,
              hint: "the next start applies them",
            }
          : { name: "migrations", state: "ok", found: "all applied" },
    platform.strong_roles.length > 0
      ? {
          name: "isolation",
          state: "fail",
          found: `${platform.strong_roles.join(", ")} see past row-level security`,
          hint: "alter role … nosuperuser nobypassrls",
        }
      : { name: "isolation", state: "ok", found: "our roles are bound by row-level security" },
  ];
  return platform.life === undefined
    ? findings
    : [...findings, ...judgeLife(platform.life, around)];
}

function judgeLife(life: PlatformLife, { isRunning }: Around): Finding[] {
  const { scheduler_s: scheduler, sync_s: sync } = life;
  const isDown =
    !isRunning &&
    life.workers === 0 &&
    [scheduler, sync].every((s) => s === null || s > aliveWithinS);
  if (isDown) return [{ name: "roles", state: "ok", found: "no platform runs on this database" }];
  return [
    judgeRole("scheduler", scheduler, "no scheduled run, retry or timeout is done"),
    judgeRole("sync", sync, "no push goes live"),
    life.workers > 0
      ? {
          name: "workers",
          state: life.workers_silent > 0 ? "warn" : "ok",
          found: `${life.workers} alive${life.workers_silent > 0 ? `, ${life.workers_silent} silent` : ""}`,
          ...(life.workers_silent > 0
            ? { hint: "a scheduler buries silent ones and hands on what they ran" }
            : {}),
        }
      : {
          name: "workers",
          state: "fail",
          found: "none is alive: no task runs",
          hint: "start one: npx airlock worker (or everything: npm start)",
        },
    life.admitted_s > 60
      ? {
          name: "queue",
          state: "warn",
          found: `${life.admitted} tasks wait for a worker, the oldest for ${Math.round(life.admitted_s)} s`,
          hint: "more workers, or more slots (AIRLOCK_CONCURRENCY)",
        }
      : { name: "queue", state: "ok", found: `${life.admitted} tasks wait for a worker` },
    life.leases_over + life.stray_jobs > 0
      ? {
          name: "stale",
          state: "warn",
          found: `${life.leases_over} attempts whose lease is over, ${life.stray_jobs} jobs that a dead worker holds`,
          hint: "a running scheduler mends them within a lease; is there one?",
        }
      : { name: "stale", state: "ok", found: "no lease or job is left behind" },
    life.repositories_failing > 0
      ? {
          name: "repositories",
          state: "warn",
          found: `${life.repositories_failing} cannot be fetched`,
          hint: "npx airlock repositories list TENANT says which, and why",
        }
      : { name: "repositories", state: "ok", found: "all could be fetched" },
  ];
}

function judgeRole(role: "scheduler" | "sync", beat: number | null, without: string): Finding {
  if (beat !== null && beat <= aliveWithinS)
    return { name: role, state: "ok", found: `alive ${Math.max(0, Math.round(beat))} s ago` };
  return {
    name: role,
    state: "fail",
    found: `${beat === null ? "never seen" : `last seen ${Math.round(beat)} s ago`}: ${without}`,
    hint: `start it: npx airlock ${role} (or everything: npm start)`,
  };
}
