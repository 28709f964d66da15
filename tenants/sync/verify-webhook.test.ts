import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { verifyWebhook, type WebhookHeaders } from "./verify-webhook.ts";

const secret = "s3cret-of-this-repository";
const now = Date.UTC(2026, 0, 2, 3, 4, 5);
const body = Buffer.from('{"ref":"refs/heads/main","after":"1f2e"}');
const hex = (key: string, data: Buffer = body): string =>
  createHmac("sha256", key).update(data).digest("hex");
const judge = (
  headers: WebhookHeaders,
  data: Buffer = body,
  secrets: readonly string[] = [secret],
  at = now,
): string => {
  const verdict = verifyWebhook(headers, data, secrets, at);
  return verdict.kind === "genuine"
    ? `${verdict.host} ${verdict.event} ${verdict.delivery}`
    : `refused: ${verdict.reason}`;
};

const github = {
  "x-hub-signature-256": `sha256=${hex(secret)}`,
  "x-github-event": "push",
  "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
  "user-agent": "GitHub-Hookshot/044aadd",
  "content-type": "application/json",
};
const gitlab = {
  "x-gitlab-token": secret,
  "x-gitlab-event": "Push Hook",
  "x-gitlab-event-uuid": "13792a34-cac6-4fda-95a8-c58e00a3954e",
};
const gitea = {
  "x-gitea-signature": hex(secret),
  "x-gitea-event": "push",
  "x-gitea-delivery": "f6266f16-1bf3-46a5-9ea4-602e06ead473",
  "x-github-event": "push",
  "x-github-delivery": "f6266f16-1bf3-46a5-9ea4-602e06ead473",
  "x-hub-signature-256": `sha256=${hex(secret)}`,
};
const forgejo = {
  ...gitea,
  "x-forgejo-signature": hex(secret),
  "x-forgejo-event": "push",
  "x-forgejo-delivery": "aa266f16-1bf3-46a5-9ea4-602e06ead473",
};

function standard(
  key: string | Buffer,
  over: Partial<Record<string, string>> = {},
  at = now,
): WebhookHeaders {
  const id = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W";
  const timestamp = String(Math.floor(at / 1000));
  const signature = createHmac("sha256", key)
    .update(`${id}.${timestamp}.${body.toString()}`)
    .digest("base64");
  return {
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": `v1,${signature}`,
    "x-gitlab-event": "Push Hook",
    ...over,
  };
}

test.each([
  ["GitHub", github, "github push 72d3162e-cc78-11e3-81ab-4c9367dc0958"],
  ["GitLab, token", gitlab, "gitlab push 13792a34-cac6-4fda-95a8-c58e00a3954e"],
  ["GitLab, signed", standard(secret), "gitlab push msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"],
  ["Gitea", gitea, "gitea push f6266f16-1bf3-46a5-9ea4-602e06ead473"],
  ["Forgejo", forgejo, "forgejo push aa266f16-1bf3-46a5-9ea4-602e06ead473"],
  [
    "GitHub's ping",
    { ...github, "x-github-event": "ping" },
    "github other 72d3162e-cc78-11e3-81ab-4c9367dc0958",
  ],
])("%s is recognised", (_name, headers, expected) => expect(judge(headers)).toBe(expected));

test("a standard secret is base64 after whsec_", () => {
  const key = Buffer.from("0123456789abcdef0123456789abcdef");
  expect(judge(standard(key), body, [`whsec_${key.toString("base64")}`])).toContain("gitlab push");
});

test("while a secret is rotated both are valid, and several signatures may be listed", () => {
  expect(judge(github, body, ["new", secret])).toContain("github push");
  const { "webhook-signature": right } = standard(secret);
  expect(judge(standard("old", { "webhook-signature": `v1,AAAA ${String(right)}` }))).toContain(
    "gitlab push",
  );
});

const changed = Buffer.concat([body, Buffer.from(" ")]);
test.each<[string, WebhookHeaders, Buffer?]>([
  ["nothing", {}],
  ["only an event", { "x-github-event": "push" }],
  ["a changed body", github, changed],
  ["Gitea with a changed body", gitea, changed],
  ["a signed GitLab with a changed body", standard(secret), changed],
  [
    "SHA-1 alone",
    {
      "x-hub-signature": `sha1=${createHmac("sha1", secret).update(body).digest("hex")}`,
      "x-github-event": "push",
    },
  ],
  ["a short signature", { ...github, "x-hub-signature-256": "sha256=ab" }],
  ["an empty signature", { ...github, "x-hub-signature-256": "" }],
  ["a signature without its scheme", { ...github, "x-hub-signature-256": hex(secret) }],
  ["another secret", { ...github, "x-hub-signature-256": `sha256=${hex("other")}` }],
  ["a wrong token", { ...gitlab, "x-gitlab-token": `${secret}x` }],
  ["an empty token", { ...gitlab, "x-gitlab-token": "" }],
  ["Forgejo's header wrong, Gitea's right", { ...forgejo, "x-forgejo-signature": hex("other") }],
  ["Gitea's header wrong, GitHub's right", { ...gitea, "x-gitea-signature": hex("other") }],
  ["a signed GitLab wrong, its token right", { ...standard("other"), "x-gitlab-token": secret }],
  ["a header twice", { ...github, "x-hub-signature-256": [`sha256=${hex(secret)}`, "x"] }],
  ["an old timestamp", standard(secret, {}, now - 301_000)],
  ["a timestamp from the future", standard(secret, {}, now + 301_000)],
  ["a timestamp that is none", standard(secret, { "webhook-timestamp": "soon" })],
  ["another id than signed", standard(secret, { "webhook-id": "msg_other" })],
])("%s is refused", (_name, headers, data = body) =>
  expect(judge(headers, data)).toMatch(/^refused/),
);

test("without a secret nothing is genuine, not even an empty token", () => {
  expect(judge({ ...gitlab, "x-gitlab-token": "" }, body, [""])).toMatch(/^refused/);
  expect(judge(github, body, [])).toMatch(/^refused/);
});

test("a delivery id that is no id is replaced by the body's hash", () => {
  expect(judge({ ...github, "x-github-delivery": "a b\n" })).toMatch(
    /^github push body:[0-9a-f]{64}$/,
  );
});
