import { existsSync } from "node:fs";
import { join } from "node:path";
import { openKeyring } from "../../secrets/keyring.ts";
import { openPlatformKeys } from "../../secrets/platform-keys.ts";
import { openStore } from "../../store/open.ts";
import { listSealed } from "../../store/sealed-rows.ts";
import { openTenantKeys } from "../../store/tenant-keys.ts";

/** Whether the platform's keys open every sealed value of a restored database; a sentence for each that they do not. */
export async function lookAtSecrets(
  database: { readonly url: string; readonly home: string },
  fromEnvironment: string | undefined,
): Promise<readonly string[]> {
  const store = openStore(database.url, { connectionsMax: 2, applicationName: "airlock-restore" });
  try {
    const rows = await store.system((tx) => listSealed(tx));
    if (rows.length === 0) return [];
    // Without this look a key would be made, which opens nothing.
    if ((fromEnvironment ?? "") === "" && !existsSync(join(database.home, "secret.key")))
      return [
        `It holds ${rows.length} secrets and not their key: set AIRLOCK_SECRET_KEY to the one of that platform.`,
      ];
    const keys = openPlatformKeys(fromEnvironment, database.home);
    if (!keys.ok) return [`${keys.problem.field}: ${keys.problem.message}`];
    const keyring = openKeyring(keys.value, openTenantKeys(store));
    const problems: string[] = [];
    for (const { tenant, kind, id, sealed } of rows)
      await keyring.open(tenant, kind, id, sealed).catch((error: unknown) => {
        problems.push(`${error instanceof Error ? error.message : String(error)}.`);
      });
    return problems;
  } finally {
    await store.close();
  }
}
