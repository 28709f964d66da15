/**
 * Opens the house, in the order in which its parts need each other, and closes it in reverse. Every role is
 * the same code: `up` has all of them in one process, a larger installation has each as often as it likes.
 */
import { createHash, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import type { IncomingMessage, Server } from "node:http";
import { availableParallelism, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import type { Logger } from "../../ops/telemetry/log.ts";
import { metrics } from "../../ops/telemetry/metrics.ts";
import { isTracing, startTracing } from "../../ops/telemetry/trace.ts";
import { type Authorizer, openAuthorizer } from "../../policies/authz/authorizer.ts";
import { openEnvironments } from "../../tenants/environments/open-environments.ts";
import { defaultLimits } from "../../tenants/registry/limits.ts";
import { openSandbox, type Sandbox } from "../../tenants/sandbox/open-sandbox.ts";
import type { GitCredentials } from "../../tenants/source/credentials.ts";
import { type OpenGuests, openGuests } from "../../tenants/supervisor/open-guests.ts";
import { probeTarget } from "../../tenants/supervisor/probe-target.ts";
import { answerPush } from "../../tenants/sync/answer-push.ts";
import { ensureBundle } from "../../tenants/sync/ensure-bundle.ts";
import { receiveWebhook } from "../../tenants/sync/receive-webhook.ts";
import { runSyncs, type Syncs } from "../../tenants/sync/run-syncs.ts";
import type { SyncDeps, SyncFolders } from "../../tenants/sync/sync-repository.ts";
import { bulkWake, runBulkDeeds } from "../api/bulk-deeds.ts";
import { type Api, createApi } from "../api/create-api.ts";
import type { HealthFacts } from "../api/deps.ts";
import { summarizeTimetable } from "../engine/summarize-timetable.ts";
import { checkTimetable } from "../engine/timetable.ts";
import { type Executor, openExecutor } from "../executor/open-executor.ts";
import { type Feed, openFeed } from "../live/open-feed.ts";
import type { EnvironmentRef, GuestLimits } from "../model/guest.ts";
import { known, type TenantId } from "../model/ids.ts";
import { isObject } from "../model/json.ts";
import { readDagSpec } from "../model/read-dag-spec.ts";
import { openDirectoryObjects } from "../objects/open-objects.ts";
import { type EmbeddedPostgres, startEmbedded } from "../postgres/embedded.ts";
import { migrateQueue } from "../queue/migrate.ts";
import { openDoor } from "../runs/advance-run.ts";
import { openDagCache } from "../runs/dag-cache.ts";
import { openDeeds } from "../runs/deeds.ts";
import { hearWakes } from "../scheduler/hear-wakes.ts";
import { keepHouse } from "../scheduler/keep-house.ts";
import { runScheduler, type Scheduler } from "../scheduler/run-scheduler.ts";
import { type Keyring, openKeyring } from "../secrets/keyring.ts";
import { deriveKeys, openPlatformKeys } from "../secrets/platform-keys.ts";
import { loadRules, policyVersion } from "../store/grants.ts";
import { migrate } from "../store/migrate.ts";
import { openStore, type Store } from "../store/open.ts";
import { wantSync } from "../store/repositories.ts";
import { beatRole, readRoleBeats } from "../store/role-beats.ts";
import { ensureDatabase } from "../store/sample-database.ts";
import { seesAll } from "../store/seen-across.ts";
import { openTenantKeys } from "../store/tenant-keys.ts";
import { getTenant } from "../store/tenants.ts";
import { findPage } from "./build-page.ts";
import { type HeldHome, holdHome } from "./home.ts";
import { keepBundles } from "./keep-bundles.ts";
import { openGitDoor } from "./open-git-door.ts";
import { placeGuests } from "./place-guests.ts";
import { openScrape } from "./scrape.ts";
import { createHttpServer, createMachineServer } from "./serve-http.ts";
import { openLiveStreams } from "./serve-live.ts";
import { openPage } from "./serve-page.ts";
import { openSourceDeeds } from "./source-deeds.ts";
import { openTenantThings } from "./tenant-things.ts";
import { traceRun } from "./trace-run.ts";
import { version } from "./version.ts";

export type Role = "server" | "scheduler" | "worker" | "sync";
export const allRoles: readonly Role[] = ["server", "scheduler", "worker", "sync"];

export type PlatformSettings = {
  readonly home: string;
  readonly roles: readonly Role[];
  readonly host: string;
  readonly port: number;
  /** Somebody chose the port. A role without the page takes any free one else: several may be on one machine. */
  readonly portIsGiven: boolean;
  /** Airflow's metric names beside ours. */
  readonly airflowMetrics: boolean;
  readonly publicUrl: string | undefined;
  /** undefined: the embedded Postgres. */
  readonly databaseUrl: string | undefined;
  readonly secretKey: string | undefined;
  readonly sandbox: "auto" | "linux" | "plain";
  readonly concurrency: number | undefined;
  readonly leaseSeconds: number;
  /** Throw-away: no fsync. Tests only. */
  readonly volatile?: boolean;
  /** Of the embedded Postgres: where its WAL is kept for points in time. */
  readonly walArchive?: string | undefined;
  readonly log: Logger;
  readonly progress: (line: string) => void;
};

export type Platform = {
  readonly url: string;
  readonly port: number;
  readonly home: string;
  readonly store: Store;
  readonly keyring: Keyring;
  readonly authorizer: Authorizer;
  readonly api: Api;
  readonly folders: SyncFolders;
  readonly syncs: Syncs | undefined;
  readonly guests: OpenGuests;
  readonly sandbox: Sandbox;
  readonly deeds: ReturnType<typeof openDeeds>;
  /** Connection string of the owner; the samples' database is made beside it. */
  readonly ownerUrl: string;
  readonly embedded: boolean;
  readonly warnings: readonly string[];
  /** The first Python environment, which may still be under construction. */
  readonly defaultEnvironment: Promise<unknown>;
  close(): Promise<void>;
};

export async function openPlatform(settings: PlatformSettings): Promise<Platform> {
  const { log, progress } = settings;
  const closers: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const step of closers.splice(0).toReversed())
      try {
        await step();
      } catch (error) {
        log.warn({ room: "main", err: error }, "a part did not close in order");
      }
  };
  try {
    return await openParts(settings, closers, close);
  } catch (error) {
    await close();
    throw error;
  } finally {
    progress("");
  }
}

async function openParts(
  settings: PlatformSettings,
  closers: (() => unknown)[],
  close: () => Promise<void>,
): Promise<Platform> {
  const { log, progress, roles } = settings;
  const has = (role: Role): boolean => roles.includes(role);

  progress("home");
  const home: HeldHome = await holdHome(settings.home, roles);
  closers.push(() => home.release());
  const tracing = await startTracing(version);
  if (tracing !== undefined) closers.push(() => tracing.close());

  progress("Postgres");
  if (settings.databaseUrl === undefined && roles.length < allRoles.length)
    throw new Error(
      "A single role needs DATABASE_URL: the embedded Postgres lives and ends with the one process of `airlock up`.",
    );
  const database = await openDatabase(settings, home.folder);
  closers.push(() => database.stop());
  progress("migrations");
  await migrateQueue(database.url);
  await migrate(database.url);
  const store = openStore(database.url, { connectionsMax: 16 });
  closers.push(() => store.close());

  const keys = openPlatformKeys(settings.secretKey, home.folder);
  if (!keys.ok) throw new Error(`${keys.problem.field}: ${keys.problem.message}`);
  const keyring = openKeyring(keys.value, openTenantKeys(store));
  const [auditKey] = deriveKeys(keys.value, "audit");

  const authorizer = openAuthorizer({
    versionOf: (domain) => store.system((tx) => policyVersion(tx, domain)),
    load: (domain) => store.system((tx) => loadRules(tx, domain)),
  });

  progress("sandbox");
  const sandbox = await openSandbox({ want: settings.sandbox, stateDir: home.folder });
  closers.push(() => sandbox.close());
  const placed = await placeGuests(home.folder, guestSources());
  const guests = openGuests({
    sandbox,
    stateDir: join(home.folder, "guests-state"),
    programs: { python: placed.python, node: placed.node },
    onEvent: ({ level, tenant, message }) =>
      log[level === "warning" ? "warn" : level]({ room: "guests", tenant }, message),
  });
  closers.push(() => guests.close());
  const environments = openEnvironments({
    sandbox,
    folder: join(home.folder, "environments"),
    requirements: readFileSync(join(guestSources().python, "requirements.txt"), "utf8"),
  });
  const defaultEnvironment = environments
    .ensureDefault((line) => log.debug({ room: "environments" }, line))
    .then((answer) => {
      if (!answer.ok)
        log.error({ room: "environments", hint: answer.problem.hint }, answer.problem.message);
      return answer;
    });
  const nodeEnvironment: EnvironmentRef = {
    hash: `node-${process.versions.node}`,
    interpreter: sandbox.node(),
  };

  const objects = openDirectoryObjects(join(home.folder, "objects"));
  const feed: Feed = await openFeed(store, log);
  closers.push(() => feed.close());
  const dags = openDagCache();
  let scheduler: Scheduler | undefined;
  let executor: Executor | undefined;
  const door = openDoor({
    store,
    dags,
    leaseSeconds: settings.leaseSeconds,
    changed: () => feed.changed(),
    stopped(stops) {
      const ids = stops.map((stop) => stop.attempt);
      executor?.stopAttempts(ids, "stopped");
      void store.notify("airlock_stop", JSON.stringify(ids.slice(0, 100))).catch(() => undefined);
    },
    timerSet: () => wakeScheduler(),
    runEnded(tenant, dagId, state, end) {
      const result =
        state === "success" ? "success" : end.reason === "timed_out" ? "timeout" : "failure";
      metrics.dagRuns.add({ tenant, dag: dagId, result });
      metrics.dagRunSeconds.observe({ tenant, result }, end.seconds);
      if (result === "timeout") metrics.deadlineMissed.add({ tenant, dag: dagId });
      if (isTracing())
        traceRun(store, tenant, end.run).catch((error: unknown) =>
          log.warn({ room: "traces", err: error }, "a run's span is missing"),
        );
      startQueued(tenant, dagId);
    },
    measured: (seconds) => metrics.doorSeconds.observe({}, seconds),
    onProblem: (message, error) => log.warn({ room: "runs", err: error }, message),
  });
  const wakeScheduler = (): void => {
    if (scheduler !== undefined) scheduler.wake();
    else void store.notify("airlock_wake", "").catch(() => undefined);
  };
  const startQueued = (tenant: TenantId, dagId: string): void => {
    if (scheduler !== undefined) scheduler.startQueued(tenant, known.dag(dagId));
    else void store.notify("airlock_queued", `${tenant} ${dagId}`).catch(() => undefined);
  };
  const create = { store, door, dags };
  const deeds = openDeeds({
    ...create,
    scheduleChanged(tenant, dagId) {
      wakeScheduler();
      startQueued(tenant, dagId);
    },
  });
  const things = openTenantThings(store, keyring, deeds);
  await store.listen(
    "airlock_stop",
    (payload) =>
      executor?.stopAttempts((JSON.parse(payload) as string[]).map(known.attempt), "stopped"),
    () => undefined,
  );

  const folders = makeFolders(home.folder, roles);
  closers.push(() => rmSync(folders.temporary, { recursive: true, force: true }));
  const environmentOf = new Map<string, Promise<EnvironmentRef>>();
  const ensureEnvironment = (
    tenant: TenantId,
    uid: number,
    dir: string,
  ): Promise<EnvironmentRef> => {
    const found = environmentOf.get(dir);
    if (found !== undefined) return found;
    const made = environments.ensure({ tenant, uid, bundleDir: dir }).then((answer) => {
      if (answer.ok) return answer.value;
      environmentOf.delete(dir);
      throw new Error(`${answer.problem.message}. ${answer.problem.hint}`);
    });
    made.catch(() => environmentOf.delete(dir));
    environmentOf.set(dir, made);
    if (environmentOf.size > 500) environmentOf.delete(environmentOf.keys().next().value ?? "");
    return made;
  };

  const syncDeps: SyncDeps = {
    store,
    folders,
    guests,
    parseHostOf: (tenant) => ({
      getConnection: (id) => things.getConnection(tenant, id),
      getVariable: (key) => things.getVariable(tenant, key),
    }),
    ensureEnvironment: (request) => environments.ensure(request),
    nodeEnvironment,
    guestVersions: { python: placed.python.version, node: placed.node.version },
    readDagSpec: (raw) => readDagSpec(raw),
    checkTimetable(timetable) {
      const checked = checkTimetable(timetable);
      return checked.ok ? undefined : checked.problem;
    },
    summarizeTimetable,
    openCredentials: async (tenant, repository, sealed) =>
      JSON.parse(await keyring.open(tenant, "repository", repository, sealed)) as GitCredentials,
    addressRules: { privateHosts: [], fileRoots: [] },
    ...(process.env["SSL_CERT_FILE"] === undefined ? {} : { caFile: process.env["SSL_CERT_FILE"] }),
    deployed: () => wakeScheduler(),
    pausedAtCreation: false,
    owner: randomUUID(),
    // Twice a worker's: a push waits no longer for a sync whose process is gone.
    leaseSeconds: settings.leaseSeconds * 2,
    log,
    now: () => new Date(),
  };
  if (has("scheduler")) {
    scheduler = runScheduler({
      ...create,
      log,
      // Only who holds the worker's lock on this home knows that another worker row of it is of a process that is gone.
      home: has("worker") ? home.folder : "",
      myWorkers: () => executor?.workers() ?? [],
      leaseSeconds: settings.leaseSeconds,
    });
    const mine = scheduler;
    await hearWakes(store, mine);
    closers.push(() => mine.stop());
    const anchors = join(home.folder, "audit-heads.jsonl");
    const keeping = keepHouse({
      store,
      log,
      anchor: (heads) =>
        appendFile(anchors, heads.map((head) => `${JSON.stringify(head)}\n`).join(""), {
          mode: 0o600,
        }),
    });
    closers.push(() => keeping.stop());
  }

  if (has("worker")) {
    progress("worker");
    const mine = await openExecutor({
      store,
      databaseUrl: database.url,
      door,
      dags,
      guests,
      objects,
      things,
      bundle: keepBundles(async (tenant, at) => {
        const bundle = await ensureBundle(tenant, at.repository, at.commit, syncDeps);
        if (!bundle.ok) throw new Error(`${bundle.problem.message}; ${bundle.problem.hint}`);
        const { dir, dags_folder: dagsFolder, limits } = bundle.value;
        return { dir, dagsFolder, limits: readLimits(limits) };
      }),
      environment: async (tenant, at, kind, dir) =>
        kind === "node" ? nodeEnvironment : ensureEnvironment(tenant, at.uid, dir),
      home: home.folder,
      queues: ["default"],
      slots: settings.concurrency ?? defaultSlots(),
      leaseSeconds: settings.leaseSeconds,
      log,
    });
    executor = mine;
    closers.push(() => mine.drain(5_000));
  }

  let syncs: Syncs | undefined;
  if (has("sync")) {
    const mine = await runSyncs(syncDeps, { concurrency: 4 });
    syncs = mine;
    closers.push(() => mine.close());
    const beat = setInterval(() => {
      store.system((tx) => beatRole(tx, "sync")).catch(() => undefined);
    }, 5_000);
    beat.unref();
    closers.push(() => clearInterval(beat));
  }

  const warnings = sandbox.warnings;
  const server = { url: "" };
  const sourceDeeds = openSourceDeeds({
    store,
    keyring,
    folders,
    publicUrl: () => server.url,
    addressRules: syncDeps.addressRules,
    syncs: () => syncs,
  });
  const api = createApi({
    store,
    keyring,
    authorizer,
    auditKey,
    runs: deeds,
    sources: sourceDeeds,
    openObject: (key) => objects.read(key),
    async readObject(key) {
      const body = await objects.read(key);
      if (body === undefined) return undefined;
      const parts: Buffer[] = [];
      for await (const part of body) parts.push(part as Buffer);
      return Buffer.concat(parts);
    },
    readArchivedLog: () => Promise.resolve({ text: "", next: undefined }),
    health: () => readHealth(store, warnings),
    async tryToReach(tenant, target) {
      const row = await store.tx(tenant, (tx) => getTenant(tx, tenant));
      if (row === undefined) return { outcome: "no_sandbox", ms: 0 };
      return probeTarget(target, { uid: row.uid, egress: row.egress }, { sandbox });
    },
    version,
    // With port 0 it is known once it listens.
    get publicUrl() {
      return settings.publicUrl ?? (server.url || `http://localhost:${settings.port}`);
    },
    onSurprise: (error, where) =>
      log.error({ room: "api", err: error, ...where }, "a request failed"),
    onAnswer({ route, method, status, ms }) {
      const code = `${Math.floor(status / 100)}xx`;
      metrics.httpSeconds.observe({ method, code }, ms / 1000);
      metrics.httpRequests.add({ route, method, code });
    },
  });

  metrics.buildInfo.set({ version }, 1);
  const scrape = openScrape({
    store,
    home: home.folder,
    rows: has("server"),
    airflow: settings.airflowMetrics,
    guests: () => guests.stats(),
  });
  const askerOf = async (request: IncomingMessage) => {
    const token = /^Bearer +(\S{1,200})$/i.exec(request.headers.authorization ?? "")?.[1];
    return token === undefined ? undefined : api.signIn.byToken(token);
  };
  const mayReadMetrics = async (request: IncomingMessage): Promise<boolean> => {
    const from = request.socket.remoteAddress ?? "";
    if (
      /^(?:127\.|::1$|::ffff:127\.)/.test(from) &&
      request.headers["x-forwarded-for"] === undefined
    )
      return true;
    const asker = await askerOf(request);
    return asker !== undefined && (await authorizer.can(asker, "platform.read", "*", "*"));
  };
  const onHttpSurprise = (error: unknown, path: string): void =>
    log.error({ room: "http", err: error, path }, "a request failed");

  let port = settings.port;
  if (has("server")) {
    const bulk = runBulkDeeds({
      store,
      runs: deeds,
      authorizer,
      auditKey,
      onProblem: (message, error) => log.warn({ room: "api", err: error }, message),
    });
    closers.push(() => bulk.stop());
    await store.listen(
      bulkWake,
      () => bulk.wake(),
      () => bulk.wake(),
    );
    const pageFolder = await findPage(progress);
    progress("listening");
    // The sync role is another process: it is asked by a row, and its answer is read from the deploy's row.
    const elsewhere: Syncs = {
      async now(tenant, repository, reason, listener) {
        await store.tx(tenant, (tx) =>
          wantSync(tx, tenant, repository, reason, "wake", listener?.by),
        );
        return { kind: "not_mine", lines: [] };
      },
      wake: () => undefined,
      close: () => Promise.resolve(),
    };
    const live = openLiveStreams({
      feed,
      signIn: api.signIn,
      authorizer,
      publicUrl: settings.publicUrl ?? server.url,
      tenantExists: async (name) =>
        (await store.tx(name, (tx) => getTenant(tx, name))) !== undefined,
    });
    closers.push(() => live.close());
    const authorizeGit = openGitDoor({ store, authorizer, signIn: api.signIn });
    const http: Server = createHttpServer({
      api,
      gitHost: (ip) => ({
        root: folders.hosted,
        authorize: (request) => authorizeGit(request, ip),
        pushed: ({ tenant, repository, refs, actor, signal }) =>
          answerPush({ tenant, repository, refs, actor, signal }, syncs ?? elsewhere, syncDeps),
      }),
      webhook: (request) =>
        receiveWebhook(request, {
          store,
          webhookSecrets: async (tenant, repository, sealed) =>
            JSON.parse(await keyring.open(tenant, "webhook", repository, sealed)) as string[],
          now: () => new Date(),
        }),
      live: (request, response, tenants) => live.serve(request, response, tenants),
      scrape,
      mayReadMetrics,
      async mayReadTenantMetrics(request, tenant) {
        const asker = await askerOf(request);
        if (asker === undefined) return false;
        if (asker.onlyTenant !== undefined && asker.onlyTenant !== tenant) return false;
        if ((await store.tx(tenant, (tx) => getTenant(tx, tenant))) === undefined) return false;
        // The series name the tenant's DAGs: they are for those who may see them all.
        const rights = await authorizer.rightsIn(tenant);
        return (
          rights.can(asker, "tenant.read", "*") && seesAll(rights.seen(asker, "dag.read", "dag"))
        );
      },
      page: pageFolder === undefined ? undefined : openPage(pageFolder),
      documents: readDocuments(),
      onSurprise: onHttpSurprise,
    });
    port = await listen(http, settings.host, settings.port);
    closers.push(() => endServer(http));
  } else {
    const http = createMachineServer({
      scrape,
      mayReadMetrics,
      isReady: async () => (await readHealth(store, warnings)).database,
      onSurprise: onHttpSurprise,
    });
    closers.push(() => endServer(http));
    port = await listen(http, settings.host, settings.portIsGiven ? settings.port : 0).catch(
      (error: unknown) => {
        // The server of this machine may have it: nobody's work depends on this role being asked how it is.
        log.warn({ room: "main", err: error }, "health and metrics go to another port");
        return listen(http, settings.host, 0);
      },
    );
  }
  server.url =
    (has("server") ? settings.publicUrl : undefined) ??
    `http://${settings.host === "127.0.0.1" ? "localhost" : settings.host}:${port}`;
  if (has("server"))
    home.publish({
      url: server.url,
      pid: process.pid,
      started_at: new Date().toISOString(),
      version,
    });

  return {
    url: server.url,
    port,
    home: home.folder,
    store,
    keyring,
    authorizer,
    api,
    folders,
    syncs,
    guests,
    sandbox,
    deeds,
    ownerUrl: database.url,
    embedded: database.embedded,
    warnings,
    defaultEnvironment,
    close,
  };
}

async function openDatabase(
  settings: PlatformSettings,
  home: string,
): Promise<{ readonly url: string; readonly embedded: boolean; stop(): Promise<void> }> {
  if (settings.databaseUrl !== undefined)
    return { url: settings.databaseUrl, embedded: false, stop: () => Promise.resolve() };
  const server: EmbeddedPostgres = await startEmbedded({
    folder: join(home, "postgres"),
    volatile: settings.volatile === true,
    walArchive: settings.walArchive,
    progress: settings.progress,
  });
  const url = await ensureDatabase(server.url, "airlock");
  return { url, embedded: true, stop: () => server.stop() };
}

function makeFolders(home: string, roles: readonly Role[]): SyncFolders {
  const make = (name: string, mode: number): string => {
    const path = join(home, name);
    mkdirSync(path, { recursive: true, mode });
    return path;
  };
  return {
    hosted: make("repositories", 0o700),
    mirrors: make("mirrors", 0o700),
    bundles: make("bundles", 0o711),
    temporary: makeTemporary(home, roles),
  };
}

/**
 * In memory where the machine has a place for that: credentials lie there while git runs. What a killed process of
 * these roles left there goes first: who holds their locks on this home is the only one.
 */
function makeTemporary(home: string, roles: readonly Role[]): string {
  const base = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  const mine = `airlock-${createHash("sha256").update(home).digest("hex").slice(0, 16)}-${roles.join("-")}.`;
  for (const left of readdirSync(base).filter((name) => name.startsWith(mine)))
    try {
      rmSync(join(base, left), { recursive: true, force: true });
    } catch {
      // somebody else's of that name: theirs
    }
  return mkdtempSync(join(base, mine));
}

/** Enough to keep the cores busy with tasks that wait, few enough to fit in memory. */
const defaultSlots = (): number =>
  Math.max(4, Math.min(availableParallelism() * 8, Math.floor(totalmem() / (256 * 1024 * 1024))));

function guestSources(): {
  readonly python: string;
  readonly node: string;
  readonly builtNode?: string;
} {
  const root = join(import.meta.dirname, "..", "..");
  const built = join(root, "guest", "node");
  const guest = existsSync(join(root, "tenants", "guest"))
    ? join(root, "tenants", "guest")
    : join(root, "guest");
  return {
    python: join(guest, "python"),
    node: guest,
    ...(existsSync(built) ? { builtNode: built } : {}),
  };
}

/** As the sync stored them; a field that is missing (an older row) is the default. */
const readLimits = (stored: unknown): GuestLimits => ({
  ...defaultLimits,
  ...(isObject(stored) ? (stored as Partial<GuestLimits>) : {}),
});

async function readHealth(store: Store, warnings: readonly string[]): Promise<HealthFacts> {
  try {
    const beats = await store.system(readRoleBeats);
    return {
      database: true,
      scheduler_heartbeat: beats.scheduler,
      sync_heartbeat: beats.sync,
      triggerer_heartbeat: null,
      warnings,
    };
  } catch {
    return {
      database: false,
      scheduler_heartbeat: null,
      sync_heartbeat: null,
      triggerer_heartbeat: null,
      warnings,
    };
  }
}

function readDocuments(): ReadonlyMap<string, { readonly type: string; readonly body: string }> {
  const root = join(import.meta.dirname, "..", "..");
  const schema = [
    join(root, "tenants", "guest", "yaml", "schema", "dag.v1.json"),
    join(root, "schema", "dag.v1.json"),
  ].find((path) => existsSync(path));
  const documents = new Map<string, { readonly type: string; readonly body: string }>();
  if (schema !== undefined)
    documents.set("/schema/dag.v1.json", {
      type: "application/schema+json",
      body: readFileSync(schema, "utf8"),
    });
  return documents;
}

const endServer = (http: Server): Promise<void> =>
  new Promise((done) => {
    http.close(() => done());
    http.closeAllConnections();
  });

const listen = (server: Server, host: string, port: number): Promise<number> =>
  new Promise((done, fail) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      fail(
        error.code === "EADDRINUSE"
          ? new Error(
              `Port ${port} is taken. Set AIRLOCK_PORT to another one, or to 0 for any free one.`,
            )
          : error,
      ),
    );
    server.listen(port, host, () => {
      const address = server.address();
      done(typeof address === "object" && address !== null ? address.port : port);
    });
  });
