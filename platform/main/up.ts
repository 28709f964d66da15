/** `airlock up` and the single roles: reads the environment, opens the house, says how to use it, closes it in order. */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { NoSuchFailpoint, setFailpoints } from "../../ops/failpoints/failpoints.ts";
import { openLog } from "../../ops/telemetry/log.ts";
import { hashPassword, passwordProblem } from "../secrets/passwords.ts";
import { addAssignment, listAssignments } from "../store/grants.ts";
import { addPerson, getPerson, setPassword } from "../store/people.ts";
import { findHome } from "./home.ts";
import {
  allRoles,
  openPlatform,
  type Platform,
  type PlatformSettings,
  type Role,
} from "./open-platform.ts";
import { wrongUse } from "./problem.ts";
import { seedCanary, seedExamples } from "./seed-examples.ts";
import { takeSecrets } from "./take-secrets.ts";

export type UpOptions = {
  readonly roles?: readonly Role[];
  readonly examples?: boolean;
  readonly env?: NodeJS.ProcessEnv;
};

/** Runs until SIGINT or SIGTERM. A second signal ends it at once. */
export async function up(options: UpOptions = {}): Promise<void> {
  const env = takeSecrets(options.env ?? process.env);
  const begun = performance.now();
  const settings = readSettings(env, options.roles ?? allRoles);
  armFailpoints(env);
  const platform = await openPlatform(settings);
  const stopped = stopOnSignal(platform);
  try {
    const wanted = env["AIRLOCK_ADMIN_PASSWORD"];
    const serves = settings.roles.includes("server");
    const password = serves ? await ensureAdmin(platform, wanted) : undefined;
    if (serves) await ensureLocalProfile(platform);
    const wantsExamples =
      env["AIRLOCK_EXAMPLES"] === undefined
        ? options.examples === true
        : env["AIRLOCK_EXAMPLES"] === "1";
    if (wantsExamples) await seedExamples(platform, settings.log);
    if (serves && env["AIRLOCK_CANARY"] === "1") await seedCanary(platform, settings.log);
    welcome(platform, {
      ms: performance.now() - begun,
      password,
      given: wanted !== undefined,
      examples: wantsExamples,
      roles: settings.roles,
    });
  } catch (error) {
    await platform.close();
    throw error;
  }
  await stopped;
}

/** Never by accident: a platform with failpoints says so. */
function armFailpoints(env: NodeJS.ProcessEnv): void {
  try {
    const set = setFailpoints(env["AIRLOCK_FAILPOINT"]);
    if (set.length > 0)
      process.stderr.write(`! failpoints are set, which break it on purpose: ${set.join(", ")}\n`);
  } catch (error) {
    if (error instanceof NoSuchFailpoint) throw wrongUse(error.message, error.hint);
    throw error;
  }
}

function readSettings(env: NodeJS.ProcessEnv, roles: readonly Role[]): PlatformSettings {
  const host = env["AIRLOCK_HOST"] ?? "127.0.0.1";
  const sandbox = env["AIRLOCK_SANDBOX"] ?? "auto";
  if (sandbox !== "auto" && sandbox !== "linux" && sandbox !== "plain")
    throw new Error(`AIRLOCK_SANDBOX is '${sandbox}'; it must be auto, linux or plain.`);
  const log = openLog({
    format:
      env["AIRLOCK_LOG_FORMAT"] === "json"
        ? "json"
        : env["AIRLOCK_LOG_FORMAT"] === "pretty"
          ? "pretty"
          : undefined,
    level: env["AIRLOCK_LOG_LEVEL"],
  });
  return {
    home: findHome(env),
    roles,
    host,
    port: readNumber(env, "AIRLOCK_PORT", 8080, 0, 65_535),
    publicUrl: env["AIRLOCK_PUBLIC_URL"]?.replace(/\/+$/, ""),
    databaseUrl: env["DATABASE_URL"] === "" ? undefined : env["DATABASE_URL"],
    secretKey: env["AIRLOCK_SECRET_KEY"],
    sandbox,
    concurrency:
      env["AIRLOCK_CONCURRENCY"] === undefined
        ? undefined
        : readNumber(env, "AIRLOCK_CONCURRENCY", 8, 1, 10_000),
    leaseSeconds: readNumber(env, "AIRLOCK_LEASE", 15, 2, 3600),
    portIsGiven: (env["AIRLOCK_PORT"] ?? "") !== "",
    airflowMetrics: env["AIRLOCK_METRICS_AIRFLOW_NAMES"] === "1",
    volatile: env["AIRLOCK_VOLATILE"] === "1",
    walArchive: readFolder(env, "AIRLOCK_WAL_ARCHIVE"),
    log,
    progress: showProgress(),
  };
}

function readFolder(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const text = env[name];
  if (text === undefined || text === "") return undefined;
  if (!isAbsolute(text) || /[\n\0]/.test(text))
    throw new Error(`${name} is '${text}'; it must be a folder's whole path, from / on.`);
  return text;
}

function readNumber(
  env: NodeJS.ProcessEnv,
  name: string,
  otherwise: number,
  min: number,
  max: number,
): number {
  const text = env[name];
  if (text === undefined || text === "") return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max)
    throw new Error(`${name} is '${text}'; it must be a whole number from ${min} to ${max}.`);
  return value;
}

/** What is being opened right now, on one line of the terminal that the next step replaces. */
function showProgress(): (line: string) => void {
  if (!process.stderr.isTTY)
    return (line) => line !== "" && process.stderr.write(`airlock: ${line}\n`);
  return (line) => process.stderr.write(line === "" ? "\r\x1b[2K" : `\r\x1b[2K… ${line}`);
}

/** The first user. The password is the one of the environment, or one that is made and shown this once. */
async function ensureAdmin(
  platform: Platform,
  wanted: string | undefined,
): Promise<string | undefined> {
  const { store } = platform;
  const problem = wanted === undefined ? undefined : passwordProblem(wanted);
  if (problem !== undefined) throw new Error(`AIRLOCK_ADMIN_PASSWORD: ${problem}`);
  const admin = await store.system((tx) => getPerson(tx, "admin"));
  const isNew = admin === undefined;
  if (!isNew && wanted === undefined) return undefined;
  const password = wanted ?? randomBytes(12).toString("base64url");
  const hash = await hashPassword(password);
  await store.system(async (tx) => {
    if (isNew)
      await addPerson(tx, { name: "admin", display_name: "Administrator", password: hash });
    else await setPassword(tx, "admin", hash);
    const assignments = await listAssignments(tx, "*");
    if (!assignments.some((row) => row.subject === "user:admin" && row.role === "role:admin"))
      await addAssignment(tx, "*", { subject: "user:admin", role: "role:admin" });
  });
  return isNew && wanted === undefined ? password : undefined;
}

/** `npx airlock` on this machine is signed in at once: a token of the admin, readable by this user alone. */
async function ensureLocalProfile(platform: Platform): Promise<void> {
  const file = join(platform.home, "local-profile.json");
  const before = readProfile(file);
  const valid =
    before?.token !== undefined && (await platform.api.signIn.byToken(before.token)) !== undefined;
  if (valid && before.url === platform.url) return;
  const token = valid
    ? before.token
    : (
        await platform.api.signIn.issueToken({
          kind: "api",
          person: "admin",
          tenant: null,
          scopes: null,
          name: "local profile",
          seconds: undefined,
        })
      ).text;
  const part = `${file}.part`;
  writeFileSync(part, `${JSON.stringify({ url: platform.url, token }, null, 2)}\n`, {
    mode: 0o600,
  });
  renameSync(part, file);
}

function readProfile(file: string): { readonly url: string; readonly token: string } | undefined {
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, "utf8")) as { url: string; token: string };
  } catch {
    return undefined;
  }
}

function welcome(
  platform: Platform,
  about: {
    readonly ms: number;
    readonly password: string | undefined;
    /** It came from the environment. */
    readonly given: boolean;
    readonly examples: boolean;
    readonly roles: readonly Role[];
  },
): void {
  const say = (line: string): boolean => process.stdout.write(`${line}\n`);
  for (const warning of platform.warnings) say(`! ${warning}`);
  say("");
  const took = `in ${(about.ms / 1000).toFixed(1)} s`;
  if (!about.roles.includes("server")) {
    say(
      `Airlock (${about.roles.join(", ")}) is ready ${took} at ${platform.url} (/livez, /readyz and /metrics; state in ${platform.home})`,
    );
    return;
  }
  say(
    `Airlock is ready ${took} at ${platform.url} (${about.roles.join(", ")}; state in ${platform.home})`,
  );
  if (about.password !== undefined)
    say(
      `Sign in as admin with the password ${about.password} (shown this once; change it with: npx airlock users passwd admin)`,
    );
  else if (about.given) say("Sign in as admin with the password in AIRLOCK_ADMIN_PASSWORD");
  else
    say(
      "Sign in as admin with the password of the first start (npx airlock users passwd admin sets a new one)",
    );
  if (!about.examples) return;
  say("");
  say("Three commands to try, in another terminal (npx airlock is signed in on this machine):");
  say("  npx airlock trigger acme/orders_etl --wait");
  say(`  git clone http://admin@${new URL(platform.url).host}/git/acme/pipelines.git`);
  say("  npx airlock deploys list acme");
}

function stopOnSignal(platform: Platform): Promise<void> {
  return new Promise((done) => {
    let signals = 0;
    const stop = (): void => {
      signals += 1;
      if (signals > 1) process.exit(130);
      process.stderr.write("\nstopping; once more to stop at once\n");
      void platform.close().finally(done);
    };
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
    process.on("SIGHUP", stop);
  });
}
