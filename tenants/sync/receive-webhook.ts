/** A git host says that something was pushed: verify, write a row, wake somebody up. What it says is never believed, only that. */
import type { RepositoryId, TenantId } from "../../platform/model/ids.ts";
import type { Store } from "../../platform/store/open.ts";
import { noteDelivery, readRepository, wantSync } from "../../platform/store/repositories.ts";
import { verifyWebhook, type WebhookHeaders, webhookBytesMax } from "./verify-webhook.ts";

export type WebhookAnswer = {
  readonly status: 202 | 200 | 401 | 404 | 413;
  readonly detail: string;
};

/** For POST /t/{tenant}/hooks/git/{repository}. The caller stops reading the body past `webhookBytesMax` + 1. */
export async function receiveWebhook(
  request: {
    readonly tenant: TenantId;
    readonly repository: RepositoryId;
    readonly headers: WebhookHeaders;
    readonly body: Buffer;
  },
  deps: {
    readonly store: Store;
    /** The valid secrets of a repository, opened. */
    webhookSecrets(
      tenant: TenantId,
      repository: RepositoryId,
      sealed: Buffer,
    ): Promise<readonly string[]>;
    now(): Date;
  },
): Promise<WebhookAnswer> {
  const { tenant, repository, headers, body } = request;
  if (body.length > webhookBytesMax)
    return { status: 413, detail: "A webhook may have at most 1 MiB." };
  const row = await deps.store.tx(tenant, (tx) => readRepository(tx, tenant, repository));
  if (!row) return { status: 404, detail: "There is no such repository." };
  const secrets =
    row.webhook_secrets === null
      ? []
      : await deps.webhookSecrets(tenant, repository, row.webhook_secrets);
  const verdict = verifyWebhook(headers, body, secrets, deps.now().getTime());
  if (verdict.kind === "refused") return { status: 401, detail: `Refused: ${verdict.reason}.` };
  return deps.store.tx(tenant, async (tx): Promise<WebhookAnswer> => {
    if ((await noteDelivery(tx, tenant, repository, verdict.delivery)) === "seen")
      return { status: 200, detail: "This delivery was seen before." };
    if (verdict.event !== "push")
      return { status: 200, detail: "Heard; only pushes ask for a sync." };
    await wantSync(tx, tenant, repository, "webhook");
    return { status: 202, detail: "A sync was asked for." };
  });
}
