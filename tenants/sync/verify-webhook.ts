/**
 * Does this request come from the git host that knows the repository's secret? Judged over the raw body,
 * before anything of it is parsed. Which host it is shows in its signature header, never in its event
 * header: Gitea and Forgejo send GitHub's as well.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

export type WebhookVerdict =
  | {
      readonly kind: "genuine";
      readonly host: WebhookHost;
      /** The host's id of this delivery; where it sends none, the hash of what it signed. */
      readonly delivery: string;
      /** A push, or an event that asks for nothing (ping). */
      readonly event: "push" | "other";
    }
  | { readonly kind: "refused"; readonly reason: string };

export type WebhookHost = "github" | "gitlab" | "gitea" | "forgejo";

export type WebhookHeaders = {
  readonly [lowerCaseName: string]: string | readonly string[] | undefined;
};

export const webhookBytesMax = 1024 * 1024;
const ageSecondsMax = 5 * 60;

/** `secrets`: the valid ones, two while one is being rotated. `nowMs`: the wall clock. */
export function verifyWebhook(
  headers: WebhookHeaders,
  body: Buffer,
  secrets: readonly string[],
  nowMs: number,
): WebhookVerdict {
  const valid = secrets.filter((secret) => secret !== "");
  if (valid.length === 0) return refused("this repository has no webhook secret");
  const read = (name: string): string | undefined => {
    const value = headers[name];
    return typeof value === "string" && value.length <= 4096 ? value : undefined;
  };
  // A header that is there decides, even if it is wrong: a weaker one beside it must not help.
  if (headers["x-forgejo-signature"] !== undefined)
    return bareHex(
      "forgejo",
      read("x-forgejo-signature"),
      read("x-forgejo-delivery") ?? read("x-gitea-delivery"),
      read("x-forgejo-event") ?? read("x-gitea-event"),
      body,
      valid,
    );
  if (headers["x-gitea-signature"] !== undefined)
    return bareHex(
      "gitea",
      read("x-gitea-signature"),
      read("x-gitea-delivery"),
      read("x-gitea-event"),
      body,
      valid,
    );
  if (headers["webhook-signature"] !== undefined) return standardWebhook(read, body, valid, nowMs);
  if (headers["x-hub-signature-256"] !== undefined) {
    const match = /^sha256=([0-9a-f]{64})$/i.exec(read("x-hub-signature-256") ?? "");
    return bareHex(
      "github",
      match?.[1],
      read("x-github-delivery"),
      read("x-github-event"),
      body,
      valid,
    );
  }
  if (headers["x-gitlab-token"] !== undefined) {
    const token = read("x-gitlab-token") ?? "";
    if (!valid.some((secret) => equal(hash(secret), hash(token))))
      return refused("the token is wrong");
    const id = read("x-gitlab-event-uuid") ?? read("idempotency-key");
    return genuine("gitlab", id, isGitlabPush(read("x-gitlab-event")), body);
  }
  return refused("the request carries no signature");
}

type Read = (name: string) => string | undefined;
const refused = (reason: string): WebhookVerdict => ({ kind: "refused", reason });
const hash = (text: string): Buffer => createHash("sha256").update(text).digest();
const equal = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b);
const isGitlabPush = (event: string | undefined): boolean =>
  event === "Push Hook" || event === "System Hook";

function bareHex(
  host: WebhookHost,
  signature: string | undefined,
  delivery: string | undefined,
  event: string | undefined,
  body: Buffer,
  secrets: readonly string[],
): WebhookVerdict {
  if (!/^[0-9a-f]{64}$/i.test(signature ?? "")) return refused("the signature is malformed");
  const given = Buffer.from(signature ?? "", "hex");
  const hit = secrets.some((secret) =>
    equal(createHmac("sha256", secret).update(body).digest(), given),
  );
  return hit ? genuine(host, delivery, event === "push", body) : refused("the signature is wrong");
}

/** Standard Webhooks, GitLab's newer scheme: several signatures may be listed while a secret is rotated. */
function standardWebhook(
  read: Read,
  body: Buffer,
  secrets: readonly string[],
  nowMs: number,
): WebhookVerdict {
  const id = read("webhook-id") ?? "";
  const timestamp = read("webhook-timestamp") ?? "";
  if (id === "" || !/^\d{1,12}$/.test(timestamp))
    return refused("webhook-id or webhook-timestamp is missing");
  if (Math.abs(nowMs / 1000 - Number(timestamp)) > ageSecondsMax)
    return refused("the request is older than five minutes");
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  const given = (read("webhook-signature") ?? "")
    .split(" ")
    .slice(0, 10)
    .flatMap((part) => (part.startsWith("v1,") ? [Buffer.from(part.slice(3), "base64")] : []));
  const hit = secrets.some((secret) =>
    keysOf(secret).some((key) => {
      const wanted = createHmac("sha256", key).update(signed).digest();
      return given.some((signature) => equal(wanted, signature));
    }),
  );
  return hit
    ? genuine("gitlab", id, isGitlabPush(read("x-gitlab-event")), body)
    : refused("the signature is wrong");
}

/** The standard writes secrets as `whsec_<base64>`; a plain text is its own key. */
const keysOf = (secret: string): readonly (string | Buffer)[] =>
  secret.startsWith("whsec_") ? [Buffer.from(secret.slice(6), "base64"), secret] : [secret];

function genuine(
  host: WebhookHost,
  id: string | undefined,
  isPush: boolean,
  body: Buffer,
): WebhookVerdict {
  const delivery =
    id !== undefined && /^[\w:.=+/-]{1,200}$/.test(id)
      ? id
      : `body:${createHash("sha256").update(body).digest("hex")}`;
  return { kind: "genuine", host, delivery, event: isPush ? "push" : "other" };
}
