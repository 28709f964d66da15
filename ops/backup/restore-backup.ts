/**
 * A platform's state from a backup: laid out aside, started and looked at there, and only then put in its place. What
 * was in that place is moved, not removed.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import {
  appendFile,
  chmod,
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  databaseUrl,
  type EmbeddedPostgres,
  findEmbedded,
  restoreCommand,
  startEmbedded,
} from "../../platform/postgres/embedded.ts";
import { postgresUser } from "../../platform/postgres/reachable.ts";
import { type RestoredFacts, readRestored } from "../../platform/store/base-backup.ts";
import { untilOnDisk } from "./copy-files.ts";
import { findDamage, type Manifest, readManifest } from "./manifest.ts";
import { brokenRepository } from "./take-backup.ts";

/** What a home holds that cannot be made again; all else there is made anew. */
const pieces = ["postgres", "postgres.secret", "secret.key", "objects", "repositories"] as const;

export type Looked = {
  readonly manifest: Manifest;
  readonly facts: Omit<RestoredFacts, "objects">;
  readonly objects: number;
  readonly repositories: number;
  /** What is wrong with it, a sentence each. */
  readonly problems: readonly string[];
};

export type RestoreOptions = {
  readonly backup: string;
  /** An empty folder, which Postgres' user can enter. */
  readonly stage: string;
  /** Replay archived WAL as well: up to a moment, or all that there is. */
  readonly upTo?: { readonly archive: string; readonly at?: Date | undefined } | undefined;
  readonly progress: (line: string) => void;
  /** More looks at the restored database, which is up; a sentence for each thing that is wrong. */
  readonly look: (database: {
    readonly url: string;
    readonly home: string;
  }) => Promise<readonly string[]>;
};

/** Lays the backup out in `stage`, starts it there, looks at it, and stops it. Throws where it cannot even be started. */
export async function layOut(options: RestoreOptions): Promise<Looked> {
  const { backup, stage, upTo, progress } = options;
  const manifest = await readManifest(backup);
  if (typeof manifest === "string") throw new Error(manifest);
  if (upTo?.at !== undefined && upTo.at.getTime() < Date.parse(manifest.consistent_at))
    throw new Error(
      `${upTo.at.toISOString()} is before the moment that this backup can be restored to, ${manifest.consistent_at}. Take an older backup.`,
    );
  progress("comparing what is there with what was written");
  const damage = await findDamage(backup, manifest, () => undefined);
  if (damage.length > 0)
    throw new Error(`The backup is damaged:\n  ${damage.join("\n  ")}\nTake another one.`);

  progress("copying");
  for (const piece of pieces)
    if (existsSync(join(backup, piece)))
      await cp(join(backup, piece), join(stage, piece), { recursive: true });
  for (const folder of manifest.folders) await mkdir(join(stage, folder), { recursive: true });
  await own(stage, upTo);

  progress("starting Postgres on it");
  const explained = async (error: unknown): Promise<never> => {
    const said = await readFile(join(stage, "postgres", "server.log"), "utf8").catch(() => "");
    const why = whyReplayEnded(said);
    throw why === undefined ? error : new Error(why, { cause: error });
  };
  const server = await startEmbedded({ folder: join(stage, "postgres"), progress }).catch(
    explained,
  );
  try {
    const url = databaseUrl(server.url, "airlock");
    const { objects, ...facts } = await unlessEnded(server, readRestored(url)).catch(explained);
    progress("looking at it");
    const problems = [
      ...objects
        .filter((key) => !existsSync(join(stage, "objects", key)))
        .map((key) => `The object ${key}, which a row names, is not in it.`),
      ...(await options.look({ url, home: stage })),
    ];
    const repositories = await repositoriesOf(stage);
    for (const repository of repositories) {
      const problem = await brokenRepository(join(stage, "repositories", repository));
      if (problem !== undefined)
        problems.push(`The repository ${repository} is broken: ${problem}.`);
    }
    return {
      manifest,
      facts,
      objects: objects.length,
      repositories: repositories.length,
      problems: [...new Set(problems)].slice(0, 50),
    };
  } finally {
    await server.stop();
  }
}

/** The driver goes on asking for a server that has ended, for ever and without keeping the process awake. */
async function unlessEnded<T>(server: EmbeddedPostgres, asking: Promise<T>): Promise<T> {
  const ended = Promise.withResolvers<never>();
  const look = setInterval(() => {
    if (!server.isRunning()) ended.reject(new Error("Postgres ended while it replayed."));
  }, 200);
  try {
    return await Promise.race([asking, ended.promise]);
  } finally {
    clearInterval(look);
  }
}

/**
 * Pure: why a server that was to replay archived changes has ended, from its own log; undefined: not for such a reason.
 * Whoever asked it too early was told so in a FATAL line as well: that is no reason.
 */
export function whyReplayEnded(log: string): string | undefined {
  const fatal = log
    .split("\n")
    .map((line) => /FATAL:\s*(.*)$/.exec(line)?.[1] ?? "")
    .find((text) => text !== "" && !text.startsWith("the database system is"));
  if (fatal === undefined) return undefined;
  return fatal.startsWith("recovery ended before configured recovery target")
    ? "The archived changes end before that moment. Leave --at out to replay all that there are."
    : `Postgres could not replay the archived changes: ${fatal}.`;
}

/** Ownership and modes as Postgres insists on them, and how far it shall replay. */
async function own(stage: string, upTo: RestoreOptions["upTo"]): Promise<void> {
  const data = join(stage, "postgres", "data");
  if (upTo !== undefined) {
    const settings = [
      `restore_command = ${quotedSetting(restoreCommand(resolve(upTo.archive)))}`,
      "recovery_target_timeline = 'latest'",
      ...(upTo.at === undefined
        ? []
        : [
            `recovery_target_time = ${quotedSetting(postgresTime(upTo.at))}`,
            "recovery_target_action = 'promote'",
          ]),
    ];
    await appendFile(join(data, "postgresql.auto.conf"), `${settings.join("\n")}\n`);
    await writeFile(join(data, "recovery.signal"), "");
  }
  await chmod(data, 0o700);
  const user = postgresUser();
  if (user === undefined) return;
  // Postgres' user passes through the stage, and cannot list it.
  await chmod(stage, 0o711);
  const owned = spawnSync("chown", ["-R", `${user.uid}:${user.gid}`, join(stage, "postgres")]);
  if (owned.status !== 0) throw new Error(`chown of ${data} failed: ${owned.stderr.toString()}`);
}

/** A `Z` it does not take here: time zones by letter are not loaded yet when it reads its settings. */
const postgresTime = (at: Date): string => at.toISOString().replace("T", " ").replace("Z", "+00");

const quotedSetting = (text: string): string => `'${text.replaceAll("'", "''")}'`;

async function repositoriesOf(stage: string): Promise<readonly string[]> {
  const root = join(stage, "repositories");
  const found: string[] = [];
  for (const tenant of await readdir(root).catch(() => []))
    for (const repository of await readdir(join(root, tenant)))
      found.push(`${tenant}/${repository}`);
  return found;
}

/** Which pieces a home has already: a restore would put others in their place. */
export const piecesIn = (home: string): readonly string[] =>
  pieces.filter((piece) => existsSync(join(home, piece)));

/** Throws where a Postgres runs on the home: under its hands nothing may be moved. */
export async function mustBeStill(home: string): Promise<void> {
  const running = await findEmbedded(join(home, "postgres"));
  if (running !== undefined)
    throw new Error(
      `A Postgres (process ${running.pid}) runs on ${home}. Stop the platform first (or kill -INT ${running.pid}).`,
    );
}

/** What was there goes to `aside`, what was laid out takes its place. Both are on one file system: renamed, not copied. */
export async function putInPlace(stage: string, home: string, aside: string): Promise<void> {
  // Before the old state is moved away the new one is there for good.
  untilOnDisk(stage);
  const there = piecesIn(home);
  if (there.length > 0) await mkdir(aside, { recursive: true, mode: 0o700 });
  for (const piece of there) await rename(join(home, piece), join(aside, piece));
  for (const piece of pieces)
    if (existsSync(join(stage, piece))) await rename(join(stage, piece), join(home, piece));
  await rm(stage, { recursive: true, force: true });
}
