/** `airlock backup` and `airlock restore`: the state of a home, out while it runs, and back. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { readManifest } from "../../../ops/backup/manifest.ts";
import {
  type Looked,
  layOut,
  mustBeStill,
  piecesIn,
  putInPlace,
} from "../../../ops/backup/restore-backup.ts";
import { takeBackup } from "../../../ops/backup/take-backup.ts";
import { databaseUrl, findEmbedded, startEmbedded } from "../../postgres/embedded.ts";
import { checkInvariants } from "../../store/invariants.ts";
import { findHome, holdHome } from "../home.ts";
import { allRoles } from "../open-platform.ts";
import { type Format, printAnswer, write } from "../print-answer.ts";
import { failed, wrongUse } from "../problem.ts";
import { readTime } from "../read-option.ts";
import { version } from "../version.ts";
import { lookAtSecrets } from "./look-at-secrets.ts";

const say = (line: string): void => void process.stderr.write(`airlock: ${line}\n`);

export async function backup(folder: string, options: { readonly output: Format }): Promise<void> {
  const env = process.env;
  const home = findHome(env);
  const into = resolve(folder);
  mustBeEmbedded(env);
  const database = await openDatabase(home);
  try {
    if ((env["AIRLOCK_SECRET_KEY"] ?? "") !== "")
      say(
        "the platform keys come from AIRLOCK_SECRET_KEY and are not in the backup: keep them elsewhere",
      );
    const begun = performance.now();
    const taken = await takeBackup({
      home,
      url: database.url,
      into,
      airlock: version,
      walArchive: env["AIRLOCK_WAL_ARCHIVE"],
      now: new Date(),
      progress: say,
    }).catch((error: unknown) => {
      throw failed(error instanceof Error ? error.message : String(error));
    });
    const answer = {
      backup: taken.folder,
      consistent_at: taken.manifest.consistent_at,
      bytes: taken.bytes,
      files: taken.files,
      repositories: taken.repositories,
      has_keys: taken.manifest.has_keys,
      seconds: Math.round(performance.now() - begun) / 1000,
    };
    if (options.output === "table") {
      await write(
        `${taken.folder}\n${(taken.bytes / 1e6).toFixed(1)} MB in ${taken.files} files, ${taken.repositories} hosted repositories; everything that was committed before ${answer.consistent_at}, in ${answer.seconds} s.\n`,
      );
      say(
        `it holds the keys that open every secret: guard it. Try it: airlock restore --test ${taken.folder}`,
      );
    } else await printAnswer(answer, options.output, []);
  } finally {
    await database.close();
  }
}

/** The files of a server of one's own are not ours to read, and may be of another version than the embedded one. */
function mustBeEmbedded(env: NodeJS.ProcessEnv): void {
  if ((env["DATABASE_URL"] ?? "") !== "")
    throw wrongUse(
      "DATABASE_URL names a Postgres of your own: this command knows the embedded one.",
      "back that server up by its own means (pg_dump --format=custom, pg_basebackup, your provider's), then objects, repositories and secret.key of AIRLOCK_HOME",
    );
}

const asItIs = (url: string) => ({ url, close: () => Promise.resolve() });

/** The embedded Postgres of a home: the one that runs, or one that is started for this alone. */
async function openDatabase(
  home: string,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const folder = join(home, "postgres");
  const running = await findEmbedded(folder);
  if (running !== undefined) return asItIs(running.url);
  if (!piecesIn(home).includes("postgres"))
    throw failed(
      `${home} holds no platform: there is nothing to back up.`,
      "set AIRLOCK_HOME to its home, or DATABASE_URL to its Postgres",
    );
  const held = await holdHome(home, allRoles);
  const server = await startEmbedded({ folder, progress: say });
  return {
    url: databaseUrl(server.url, "airlock"),
    async close() {
      await server.stop();
      held.release();
    },
  };
}

export type RestoreFlags = {
  readonly output: Format;
  readonly test?: true;
  readonly replace?: true;
  readonly wal?: string;
  readonly at?: string;
};

/** Answers whether nothing was wrong with it. */
export async function restore(from: string, options: RestoreFlags): Promise<boolean> {
  const folder = resolve(from);
  mustBeEmbedded(process.env);
  const manifest = await readManifest(folder);
  if (typeof manifest === "string") throw failed(manifest);
  const at = options.at === undefined ? undefined : new Date(readTime(options.at));
  const archive =
    options.wal ?? (at === undefined ? undefined : (manifest.wal_archive ?? undefined));
  if (at !== undefined && archive === undefined)
    throw wrongUse(
      "--at needs the WAL that was archived since the backup, and the backup knows of none.",
      "say where it is with --wal DIR (AIRLOCK_WAL_ARCHIVE of the platform)",
    );
  const layout = (stage: string) =>
    layOut({
      backup: folder,
      stage,
      upTo: archive === undefined ? undefined : { archive, at },
      progress: say,
      look: async (database) => [
        ...(await brokenInvariants(database.url)),
        ...(await lookAtSecrets(database, process.env["AIRLOCK_SECRET_KEY"])),
      ],
    }).catch((error: unknown) => {
      throw failed(error instanceof Error ? error.message : String(error));
    });

  if (options.test === true) {
    const stage = mkdtempSync(join(tmpdir(), "airlock-restore-"));
    try {
      const looked = await layout(stage);
      await tell(looked, options.output, undefined);
      return looked.problems.length === 0;
    } finally {
      rmSync(stage, { recursive: true, force: true });
    }
  }

  const home = findHome();
  const held = await holdHome(home, allRoles).catch((error: unknown) => {
    throw failed(
      `A restore would put other state under a platform that runs. ${error instanceof Error ? error.message : ""}`,
    );
  });
  try {
    await mustBeStill(home).catch((error: unknown) => {
      throw failed(error instanceof Error ? error.message : String(error));
    });
    const there = piecesIn(home);
    if (there.length > 0 && options.replace !== true)
      throw failed(
        `${home} holds a platform's state already (${there.join(", ")}).`,
        "set AIRLOCK_HOME to an empty folder, or say --replace: what is there is then moved aside, not removed",
      );
    const stamp = new Date().toISOString().replaceAll(/[:.]/g, "-");
    const stage = join(home, `restoring-${stamp}`);
    mkdirSync(stage, { mode: 0o711 });
    let looked: Looked;
    try {
      looked = await layout(stage);
      await putInPlace(stage, home, join(home, `before-restore-${stamp}`));
    } catch (error) {
      rmSync(stage, { recursive: true, force: true });
      throw error;
    }
    await tell(looked, options.output, {
      home,
      aside: there.length > 0 ? `before-restore-${stamp}` : undefined,
    });
    return looked.problems.length === 0;
  } finally {
    held.release();
  }
}

async function brokenInvariants(url: string): Promise<readonly string[]> {
  const checked = await checkInvariants(url);
  return checked
    .filter(({ ok }) => !ok)
    .map(({ id, sentence, violations }) => `${id}: ${sentence} ${violations} rows break it.`);
}

async function tell(
  { manifest, facts, objects, repositories, problems }: Looked,
  format: Format,
  placed: { readonly home: string; readonly aside: string | undefined } | undefined,
): Promise<void> {
  if (format !== "table") {
    await printAnswer(
      {
        ok: problems.length === 0,
        consistent_at: manifest.consistent_at,
        ...facts,
        objects,
        repositories,
        problems,
        home: placed?.home ?? null,
      },
      format,
      [],
    );
    return;
  }
  await write(
    [
      `${facts.tenants} tenants, ${facts.dags} DAGs, ${facts.runs} runs, ${facts.task_instances} task instances, ${objects} objects, ${repositories} hosted repositories`,
      ...problems.map((problem) => `✗ ${problem}`),
      ...(problems.length === 0
        ? ["✓ nothing is missing, the invariants hold, every secret opens"]
        : []),
      ...(placed === undefined
        ? []
        : [
            `It is in ${placed.home}${placed.aside === undefined ? "" : `; what was there is in ${placed.aside} beside it`}. Start it with: npx airlock up`,
            `What happened after ${manifest.consistent_at} is not in it: schedules go on from there.`,
          ]),
      "",
    ].join("\n"),
  );
}
