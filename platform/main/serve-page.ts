/**
 * The page: one document for every address that a person may open, and its files by name. The document carries a
 * fresh nonce each time; nothing else on it may run.
 */
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

export type Page = {
  /** Answers and says true if the address is the page's. */
  serve(request: IncomingMessage, response: ServerResponse, path: string): Promise<boolean>;
};

const brotli = promisify(brotliCompress);
const zip = promisify(gzip);

const types: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** `folder`: as `vite build` left it. Files are read when first asked for and kept packed, so an idle server holds none. */
export function openPage(folder: string): Page {
  const document = readFileSync(join(folder, "index.html"), "utf8");
  const names = new Set(readdirSync(join(folder, "page")));
  const packed = new Map<string, Buffer>();
  return {
    async serve(request, response, path) {
      if (request.method !== "GET" && request.method !== "HEAD") return false;
      const name = /^\/page\/([\w.-]+)$/.exec(path)?.[1];
      if (name !== undefined) {
        if (!names.has(name)) return notThere(response);
        await sendFile(request, response, folder, name, packed);
        return true;
      }
      if (!isPageAddress(path)) return false;
      sendDocument(request, response, document);
      return true;
    },
  };
}

/** Everything below a tenant that is not its Airflow, its git or its hooks. */
const isPageAddress = (path: string): boolean =>
  path === "/" ||
  /^\/(?:sign-in|platform)(?:\/|$)/.test(path) ||
  (/^\/t\/[^/]+(?:\/|$)/.test(path) && !/^\/t\/[^/]+\/(?:api|auth|hooks)(?:\/|$)/.test(path));

function notThere(response: ServerResponse): true {
  response.writeHead(404, { "content-type": "text/plain", "x-content-type-options": "nosniff" });
  response.end("There is no such file; the page may have been updated meanwhile: load it again.");
  return true;
}

function sendDocument(request: IncomingMessage, response: ServerResponse, document: string): void {
  const nonce = randomBytes(18).toString("base64");
  response.writeHead(200, {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-cache",
    "content-security-policy": policyOf(nonce),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
  });
  response.end(request.method === "HEAD" ? "" : document.replaceAll("__NONCE__", nonce));
}

/** Scripts by nonce alone (and what they load); no inline style, no frame of others; frames are our own artifacts, sandboxed. */
const policyOf = (nonce: string): string =>
  [
    "default-src 'none'",
    `script-src 'nonce-${nonce}' 'strict-dynamic'`,
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "worker-src 'self'",
    "frame-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; ");

async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  folder: string,
  name: string,
  packed: Map<string, Buffer>,
): Promise<void> {
  const accepts = String(request.headers["accept-encoding"] ?? "");
  const encoding = /\bbr\b/.test(accepts) ? "br" : /\bgzip\b/.test(accepts) ? "gzip" : undefined;
  const key = `${encoding ?? "plain"} ${name}`;
  let body = packed.get(key);
  if (body === undefined) {
    const file = await readFile(join(folder, "page", name));
    body = encoding === undefined ? file : await pack(file, encoding);
    if (encoding !== undefined) packed.set(key, body);
  }
  response.writeHead(200, {
    "content-type": types[extname(name)] ?? "application/octet-stream",
    "content-length": body.length,
    ...(encoding === undefined ? {} : { "content-encoding": encoding }),
    vary: "accept-encoding",
    // Its name changes with its content; the icon's does not.
    "cache-control": /-[\w-]{8}\./.test(name) ? "public, max-age=31536000, immutable" : "no-cache",
    "x-content-type-options": "nosniff",
  });
  response.end(request.method === "HEAD" ? "" : body);
}

const pack = (body: Buffer, encoding: "br" | "gzip"): Promise<Buffer> =>
  encoding === "br"
    ? brotli(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } })
    : zip(body, { level: 6 });
