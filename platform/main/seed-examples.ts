import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "../../ops/telemetry/log.ts";
import { canary } from "../../tenants/examples/canary.ts";
import { type SampleTenant, sampleTenants } from "../../tenants/examples/seed.ts";
import { commitFolder, createHosted, hostedDir } from "../../tenants/source/hosted-repository.ts";
import { known } from "../model/ids.ts";
import { sealConnection } from "../secrets/connection-value.ts";
import { addConnection, changeConnection } from "../store/connections.ts";
import { createRepository, wantSync } from "../store/repositories.ts";
import { ensureSampleDatabase } from "../store/sample-database.ts";
import { changeTenant, createTenant, getTenant } from "../store/tenants.ts";
import { addVariable } from "../store/variables.ts";
import type { Platform } from "./open-platform.ts";

/**
 * The sample tenants: their rows, their connections, their repositories on the built-in host. What people
 * changed in them since stays: a repository that has commits is not touched again. Its first sync, with the
 * first Python environment, goes on behind; answers once the rows are there.
 */
export async function seedExamples(platform: Platform, log: Logger): Promise<void> {
  const warehouse = await ensureSampleDatabase(platform.ownerUrl, samplePassword(platform.home));
  const places = { warehouse, echo: { host: "127.0.0.1", port: platform.port } };
  for (const sample of sampleTenants(places)) await seedTenant(platform, sample);
  for (const sample of sampleTenants(places)) {
    const tenant = known.tenant(sample.tenant);
    platform.syncs?.now(tenant, known.repository(sample.repository), "asked").then(
      (result) => {
        const lines = result.lines.join("; ");
        if (result.kind === "failed") log.error({ room: "examples", tenant }, lines);
        else log.info({ room: "examples", tenant }, lines);
      },
      (error: unknown) =>
        log.warn({ room: "examples", tenant, err: error }, "the first sync is tried again"),
    );
  }
}

/** The platform's own canary, the same way. */
export async function seedCanary(platform: Platform, log: Logger): Promise<void> {
  await seedTenant(platform, canary);
  const tenant = known.tenant(canary.tenant);
  const repository = known.repository(canary.repository);
  const { syncs, store } = platform;
  if (syncs === undefined)
    await store.tx(tenant, (tx) => wantSync(tx, tenant, repository, "asked", "wake"));
  else
    syncs
      .now(tenant, repository, "asked")
      .catch((error: unknown) =>
        log.warn({ room: "canary", err: error }, "the canary's sync is tried again"),
      );
}

async function seedTenant(platform: Platform, sample: SampleTenant): Promise<void> {
  const { store, keyring, folders } = platform;
  const tenant = known.tenant(sample.tenant);
  const repository = known.repository(sample.repository);
  await store.system((tx) => createTenant(tx, tenant, sample.display_name));
  // Ports change between starts: what tasks may reach and what their connections say follow them.
  // An admin's own rules stay.
  await store.system(async (tx) => {
    const row = await getTenant(tx, tenant);
    const kept = (row?.egress ?? []).filter((rule) => rule.host !== "127.0.0.1");
    await changeTenant(tx, tenant, { egress: [...kept, ...sample.egress] });
  });
  for (const connection of sample.connections) {
    const row = {
      conn_id: connection.conn_id,
      conn_type: connection.conn_type,
      description: connection.description,
      host: connection.host,
      schema: connection.schema ?? null,
      login: connection.login ?? null,
      port: connection.port,
      sealed: await sealConnection(keyring, tenant, connection.conn_id, {
        password: connection.password,
      }),
    };
    await store.tx(tenant, async (tx) => {
      if (!(await addConnection(tx, row))) await changeConnection(tx, row);
    });
  }
  for (const variable of sample.variables) {
    const sealed = await keyring.seal(tenant, "variable", variable.key, variable.value);
    await store.tx(tenant, (tx) =>
      addVariable(tx, { key: variable.key, sealed, description: variable.description }),
    );
  }
  const dir = hostedDir(folders.hosted, tenant, repository);
  const isNew = !existsSync(dir);
  if (isNew) {
    await createHosted(dir, "main");
    await commitFolder(dir, "main", join(examplesFolder(), sample.folder), {
      author: "Airlock",
      email: "samples@airlock.invalid",
      message: "Sample pipelines",
    });
  }
  await store.tx(tenant, (tx) =>
    createRepository(tx, {
      tenant,
      repository,
      kind: "hosted",
      url: null,
      branch: "main",
      path: "",
      credentials: null,
      webhook_secrets: null,
    }),
  );
}

const examplesFolder = (): string =>
  [
    join(import.meta.dirname, "..", "..", "tenants", "examples"),
    join(import.meta.dirname, "..", "..", "examples"),
  ].find((folder) => existsSync(folder)) ?? "examples";

function samplePassword(home: string): string {
  const file = join(home, "samples.secret");
  if (existsSync(file)) return readFileSync(file, "utf8").trim();
  const password = randomBytes(18).toString("base64url");
  writeFileSync(file, password, { mode: 0o600 });
  return password;
}
