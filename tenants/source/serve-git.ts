/**
 * The built-in git host: real git (`git http-backend`) behind the platform's sign-in, smart HTTP only.
 * `/git/{tenant}/{repository}.git/…`
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  type RepositoryId,
  readRepositoryId,
  readTenantId,
  type TenantId,
} from "../../platform/model/ids.ts";
import { hostedBytes, hostedDir } from "./hosted-repository.ts";
import { openLanes } from "./lanes.ts";
import { endGroup, hostileConfig, startGit } from "./run-git.ts";
import { tellPusher } from "./tell-pusher.ts";

export type GitHost = {
  /** Folder of the hosted repositories. */
  readonly root: string;
  /** Asked before anything is read or started. `unknown`: no such repository, or not for this one's eyes. */
  authorize(request: GitAccessRequest): Promise<GitVerdict>;
  /** After a push changed refs (full names): lines for the person who pushes. Bounded in time by the one who answers. */
  pushed(push: {
    readonly tenant: TenantId;
    readonly repository: RepositoryId;
    readonly refs: readonly string[];
    readonly actor: string;
    readonly signal: AbortSignal;
  }): AsyncIterable<string>;
  readonly limits?: Partial<GitHostLimits>;
};

export type GitAccessRequest = {
  readonly tenant: TenantId;
  readonly repository: RepositoryId;
  readonly deed: "repo.read" | "repo.push";
  readonly basic?: { readonly username: string; readonly password: string };
};

export type GitVerdict =
  | { readonly kind: "allowed"; readonly actor: string }
  | { readonly kind: "sign_in" }
  | { readonly kind: "forbidden"; readonly message: string }
  | { readonly kind: "unknown" };

export type GitHostLimits = {
  /** Of one push, after inflation. */
  readonly pushBytes: number;
  /** Of a repository on disk; a push to a larger one is refused before it begins. */
  readonly repositoryBytes: number;
  readonly pushSeconds: number;
};

export const gitHostLimits: GitHostLimits = {
  pushBytes: 256 * 1024 * 1024,
  repositoryBytes: 2 * 1024 * 1024 * 1024,
  pushSeconds: 600,
};

const lanes = openLanes({ total: 16, perKey: 6 });

/** Answers every request under `/git/`, also what it does not know. Never throws for what a client does. */
export async function serveGit(
  request: IncomingMessage,
  response: ServerResponse,
  host: GitHost,
): Promise<void> {
  const asked = readRequest(request);
  if (!asked) {
    refuse(response, 404, "There is no such repository.");
    return;
  }
  const basic = readBasic(request.headers.authorization);
  const verdict = await host.authorize({ ...asked, ...(basic ? { basic } : {}) });
  switch (verdict.kind) {
    case "sign_in":
      response.setHeader("WWW-Authenticate", 'Basic realm="Airlock", charset="UTF-8"');
      refuse(response, 401, "Sign in with your name and a password or token.");
      return;
    case "forbidden":
      refuse(response, 403, verdict.message);
      return;
    case "unknown":
      refuse(response, 404, "There is no such repository.");
      return;
    case "allowed":
  }
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const leave = await lanes.enter(asked.tenant, gone.signal).catch(() => undefined);
  if (!leave) return;
  try {
    await runBackend(request, response, host, asked, verdict.actor, gone.signal);
  } finally {
    leave();
  }
}

type Asked = {
  readonly tenant: TenantId;
  readonly repository: RepositoryId;
  readonly deed: "repo.read" | "repo.push";
  readonly service: "git-upload-pack" | "git-receive-pack";
  /** Inside the repository: `info/refs`, or the service. */
  readonly tail: string;
};

function readRequest(request: IncomingMessage): Asked | undefined {
  const [path = "", query = ""] = (request.url ?? "").split("?", 2);
  const match =
    /^\/git\/([^/]{1,63})\/([^/]{1,100})\.git\/(info\/refs|git-upload-pack|git-receive-pack)$/.exec(
      path,
    );
  const tenant = readTenantId(match?.[1]);
  const repository = readRepositoryId(match?.[2]);
  const tail = match?.[3];
  if (!tenant.ok || !repository.ok || tail === undefined) return undefined;
  const isListing = tail === "info/refs";
  if (request.method !== (isListing ? "GET" : "POST")) return undefined;
  const service = isListing
    ? /^service=(git-upload-pack|git-receive-pack)$/.exec(query)?.[1]
    : tail;
  if (service !== "git-upload-pack" && service !== "git-receive-pack") return undefined;
  const deed = service === "git-receive-pack" ? "repo.push" : "repo.read";
  return { tenant: tenant.value, repository: repository.value, deed, service, tail };
}

/** `Basic` of RFC 7617; a name without password is still a name. */
export function readBasic(
  header: string | undefined,
): { username: string; password: string } | undefined {
  const match = /^basic +([A-Za-z0-9+/=_-]{1,4096})$/i.exec(header ?? "");
  if (!match) return undefined;
  const text = Buffer.from(match[1] ?? "", "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0
    ? { username: text, password: "" }
    : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function refuse(response: ServerResponse, status: number, message: string): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "no-store",
    Connection: "close",
  });
  response.end(`${message}\n`);
}

async function runBackend(
  request: IncomingMessage,
  response: ServerResponse,
  host: GitHost,
  asked: Asked,
  actor: string,
  gone: AbortSignal,
): Promise<void> {
  const limits = { ...gitHostLimits, ...host.limits };
  const isPush = request.method === "POST" && asked.deed === "repo.push";
  const dir = hostedDir(host.root, asked.tenant, asked.repository);
  if (asked.deed === "repo.push" && (await hostedBytes(dir)) > limits.repositoryBytes) {
    refuse(
      response,
      413,
      "This repository is full. Ask an admin for a larger quota, or make a new one without large files.",
    );
    return;
  }
  const child = startGit(
    {
      args: ["http-backend"],
      env: backendEnvironment(request, host.root, asked, actor, limits),
      fileBytesMax: limits.repositoryBytes,
    },
    limits.pushSeconds * 1000,
  );
  const { stdin, stdout, stderr } = child;
  if (!stdin || !stdout) throw new Error("git was started without pipes");
  stderr?.resume();
  const stop = (): void => endGroup(child);
  gone.addEventListener("abort", stop, { once: true });
  const begun = new Promise<void>((resolve, reject) => {
    child.once("spawn", () => resolve());
    child.once("error", reject);
  });
  try {
    await begun;
    const upload = feed(request, stdin, limits.pushBytes * 4);
    // A request that breaks off ends git by its closed input; `gone` ends it in any case.
    upload.catch(() => stdin.end());
    const answer = await readHead(stdout);
    if (!answer) {
      refuse(
        response,
        502,
        "git gave no answer. If you pushed, the push may be larger than allowed.",
      );
      return;
    }
    response.writeHead(answer.status, answer.headers);
    const whole = endAfter(answer.body, upload);
    const body =
      isPush && answer.status === 200
        ? tellPusher(whole, (refs) =>
            host.pushed({
              tenant: asked.tenant,
              repository: asked.repository,
              refs,
              actor,
              signal: gone,
            }),
          )
        : whole;
    // Whoever hung up needs no answer.
    await pipeline(Readable.from(body), response).catch(() => undefined);
  } finally {
    gone.removeEventListener("abort", stop);
    endGroup(child);
  }
}

function backendEnvironment(
  request: IncomingMessage,
  root: string,
  { tenant, repository, tail, service }: Asked,
  actor: string,
  limits: GitHostLimits,
): Record<string, string> {
  const isListing = tail === "info/refs";
  const config = [
    ...hostileConfig.map((setting): [string, string] => {
      const at = setting.indexOf("=");
      return [setting.slice(0, at), setting.slice(at + 1)];
    }),
    ["http.receivepack", "true"],
    ["receive.maxInputSize", String(limits.pushBytes)],
    ["receive.denyDeleteCurrent", "true"],
    ["receive.denyCurrentBranch", "ignore"],
    ["receive.autogc", "false"],
    ["receive.advertiseAtomic", "true"],
    ["receive.advertisePushOptions", "false"],
    // Hidden: pseudo refs of our own would be a tenant's to move.
    ["transfer.hideRefs", "refs/airlock"],
    ["uploadpack.allowFilter", "true"],
    ["uploadpack.allowAnySHA1InWant", "false"],
  ] as const;
  const { headers } = request;
  const protocol = headers["git-protocol"];
  return {
    GIT_PROJECT_ROOT: root,
    GIT_HTTP_EXPORT_ALL: "1",
    PATH_INFO: `/${tenant}/${repository}.git/${tail}`,
    QUERY_STRING: isListing ? `service=${service}` : "",
    REQUEST_METHOD: isListing ? "GET" : "POST",
    CONTENT_TYPE: isListing ? "" : `application/x-${service}-request`,
    REMOTE_USER: actor.replace(/[^\w.@:-]/g, "_").slice(0, 200),
    REMOTE_ADDR: (request.socket.remoteAddress ?? "").replace(/[^0-9a-fA-F.:]/g, ""),
    GIT_CONFIG_COUNT: String(config.length),
    ...Object.fromEntries(
      config.flatMap(([key, value], index) => [
        [`GIT_CONFIG_KEY_${index}`, key],
        [`GIT_CONFIG_VALUE_${index}`, value],
      ]),
    ),
    ...(typeof protocol === "string" && /^version=[0-2]$/.test(protocol)
      ? { GIT_PROTOCOL: protocol }
      : {}),
    ...(/^(x-)?gzip$/.test(headers["content-encoding"] ?? "")
      ? { HTTP_CONTENT_ENCODING: "gzip" }
      : {}),
    ...(/^\d{1,15}$/.test(headers["content-length"] ?? "")
      ? { CONTENT_LENGTH: headers["content-length"] ?? "" }
      : {}),
  };
}

/**
 * The request into git. git may stop reading early (a push that is too large, refused objects); the rest is
 * then read and dropped, since a client that cannot finish sending deadlocks instead of showing git's words.
 */
async function feed(request: IncomingMessage, stdin: Writable, bytesMax: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    stdin.on("error", () => resolve());
    stdin.once("close", resolve);
  });
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error("the push is many times larger than allowed");
    if (!stdin.writable || stdin.write(chunk)) continue;
    const drained = Promise.withResolvers<void>();
    stdin.once("drain", drained.resolve);
    await Promise.race([drained.promise, closed]);
  }
  stdin.end();
}

async function* endAfter(
  body: AsyncIterable<Buffer>,
  upload: Promise<void>,
): AsyncGenerator<Buffer> {
  yield* body;
  await upload;
}

const headBytesMax = 16 * 1024;

/** CGI's head (`Status:`, headers, blank line); the rest stays in the stream. */
async function readHead(output: AsyncIterable<Buffer>): Promise<
  | {
      readonly status: number;
      readonly headers: Record<string, string>;
      readonly body: AsyncIterable<Buffer>;
    }
  | undefined
> {
  const chunks = output[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  for (;;) {
    const end = /\r?\n\r?\n/.exec(held.toString("latin1", 0, headBytesMax));
    if (end) {
      const head = held.toString("latin1", 0, end.index);
      const rest = held.subarray(end.index + end[0].length);
      return { ...readHeaders(head), body: continued(rest, chunks) };
    }
    const next = await chunks.next().catch(() => ({ done: true as const, value: undefined }));
    if (next.done === true || held.length > headBytesMax) return undefined;
    held = Buffer.concat([held, next.value]);
  }
}

function readHeaders(head: string): { status: number; headers: Record<string, string> } {
  let status = 200;
  const headers: Record<string, string> = {};
  for (const line of head.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    if (name.toLowerCase() === "status") status = Number.parseInt(value, 10) || 500;
    else if (colon > 0) headers[name] = value;
  }
  return { status, headers };
}

async function* continued(first: Buffer, chunks: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (first.length > 0) yield first;
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next())
    yield next.value;
}
