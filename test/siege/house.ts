/** A real house for a siege: an admin's word over HTTP, teams with repositories, and what the besieger may look at from outside. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isObject } from "../../platform/model/json.ts";
import { type Clone, cloneRepository, eventually, type House } from "../kit/house.ts";

export type Answered = { readonly status: number; readonly text: string; readonly body: unknown };

export const adminToken = (house: House): string =>
  (JSON.parse(readFileSync(join(house.home, "local-profile.json"), "utf8")) as { token: string })
    .token;

export async function asAdmin(
  house: House,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answered> {
  const answer = await fetch(`${house.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${adminToken(house)}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = undefined;
  }
  return { status: answer.status, text, body: parsed };
}

export async function mustDo(
  house: House,
  method: string,
  path: string,
  body?: unknown,
): Promise<unknown> {
  const answer = await asAdmin(house, method, path, body);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  return answer.body;
}

export async function openTeam(house: House, tenant: string, repository = "code"): Promise<Clone> {
  await asAdmin(house, "POST", "/api/platform/tenants", { name: tenant });
  await mustDo(house, "POST", `/api/platform/tenants/${tenant}/repositories`, { name: repository });
  return cloneRepository(house, tenant, repository);
}

export function writeInto(
  clone: Clone,
  files: { readonly [path: string]: string | Uint8Array },
): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(clone.folder, path)), { recursive: true });
    writeFileSync(join(clone.folder, path), content);
  }
}

export type Deploy = {
  readonly commit: string;
  readonly state: string;
  readonly errors: readonly { readonly path: string; readonly message: string }[];
};

export async function deploysOf(house: House, tenant: string): Promise<readonly Deploy[]> {
  const listed = await mustDo(house, "GET", `/api/platform/tenants/${tenant}/deploys?limit=20`);
  return (listed as { deploys: readonly Deploy[] }).deploys;
}

/** What became of the clone's last commit, however long it took: the push itself may have stopped waiting. */
export async function deployed(house: House, tenant: string, clone: Clone): Promise<Deploy> {
  const commit = (await clone.git("rev-parse", "HEAD")).stdout.trim();
  return eventually(async () => {
    const found = (await deploysOf(house, tenant)).find((one) => one.commit === commit);
    return found && found.state !== "syncing" ? found : undefined;
  }, 180_000);
}

/** Pushes, and waits until it is live. */
export async function makeLive(
  house: House,
  tenant: string,
  clone: Clone,
  message: string,
): Promise<Deploy> {
  const pushed = await clone.push(message);
  const deploy = pushed.code === 0 ? await deployed(house, tenant, clone) : undefined;
  if (deploy?.state !== "live")
    throw new Error(`${message} did not become live: ${JSON.stringify(deploy)} ${pushed.stderr}`);
  return deploy;
}

/** Runs a DAG to its end; its state, with the reason if it is not `success`. */
export async function runDag(
  house: House,
  tenant: string,
  dag: string,
  runId = "siege",
): Promise<string> {
  const runs = `/t/${tenant}/api/v2/dags/${dag}/dagRuns`;
  const started = await asAdmin(house, "POST", runs, { dag_run_id: runId });
  if (started.status >= 300) return `not started: ${started.status} ${started.text}`;
  const state = await eventually(async () => {
    const { body } = await asAdmin(house, "GET", `${runs}/${runId}`);
    const seen = isObject(body) ? body["state"] : undefined;
    return seen === "success" || seen === "failed" ? seen : undefined;
  }, 120_000);
  if (state === "success") return state;
  return `failed: ${(await asAdmin(house, "GET", `/t/${tenant}/api/ui/dags/${dag}/dagRuns/${runId}/why`)).text.slice(0, 300)}`;
}

/** What a task of a run returned. */
export async function returnedBy(
  house: House,
  tenant: string,
  dag: string,
  task: string,
  runId = "siege",
): Promise<unknown> {
  const answer = await asAdmin(
    house,
    "GET",
    `/t/${tenant}/api/v2/dags/${dag}/dagRuns/${runId}/taskInstances/${task}/xcomEntries/return_value`,
  );
  return isObject(answer.body) ? answer.body["value"] : undefined;
}
