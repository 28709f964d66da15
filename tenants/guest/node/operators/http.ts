/** HTTP requests, once or again and again until the answer is right. */
import { isObject } from "../../../../platform/model/json.ts";
import type { Connection } from "../../sdk/author-types.ts";
import { durationSeconds } from "../../sdk/duration.ts";
import { fail } from "../../sdk/outcome.ts";
import { evaluate } from "../../yaml/render-template.ts";
import type { Operation } from "./catalogue.ts";
import { type Args, argsOf, optionalText, textMap } from "./read-args.ts";

const bodyBytesMax = 16 * 1024 * 1024;

/** Its output is the body: parsed if its type says JSON (or `response: json`), else text. */
export async function requestHttp(raw: unknown, operation: Operation): Promise<unknown> {
  const args = argsOf(raw);
  const answer = await send(args, operation);
  if (!isExpected(answer.status, args))
    throw fail(
      `${answer.method} ${answer.url} answered ${answer.status} ${answer.statusText}: ${answer.text.slice(0, 300)}`,
      // What the other side calls our mistake is the same mistake the next time.
      { retry: answer.status >= 500 || [408, 425, 429].includes(answer.status) },
    );
  return answer.body;
}

/** True when the status is as expected and `until`, an expression over status, body and headers, is true. */
export async function lookAtHttp(raw: unknown, operation: Operation): Promise<unknown> {
  const args = argsOf(raw);
  let answer: HttpAnswer;
  try {
    answer = await send(args, operation);
  } catch (error) {
    if (operation.context.signal.aborted || !(error instanceof TypeError)) throw error;
    operation.context.log.info(`Not yet: ${error.message}`);
    return false;
  }
  const until = optionalText(args, "until");
  const there =
    isExpected(answer.status, args) &&
    (until === undefined ||
      Boolean(
        evaluate(until, { status: answer.status, body: answer.body, headers: answer.headers }),
      ));
  if (!there) operation.context.log.info(`Not yet: ${answer.url} answered ${answer.status}`);
  return there ? { done: true, value: answer.body } : false;
}

type HttpAnswer = {
  readonly method: string;
  /** Without query and credentials: it appears in logs. */
  readonly url: string;
  readonly status: number;
  readonly statusText: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly body: unknown;
};

async function send(args: Args, { context }: Operation): Promise<HttpAnswer> {
  const conn = optionalText(args, "conn");
  const connection = conn === undefined ? undefined : await context.conn(conn);
  const url = urlOf(optionalText(args, "url") ?? "", connection);
  for (const [name, value] of Object.entries(textMap(args, "query")))
    url.searchParams.append(name, value);
  const headers = new Headers({ ...authorization(connection), ...textMap(args, "headers") });
  const json = args["json"];
  if (json !== undefined && !headers.has("content-type"))
    headers.set("content-type", "application/json");
  const body = json === undefined ? optionalText(args, "body") : JSON.stringify(json);
  const method = optionalText(args, "method") ?? (body === undefined ? "GET" : "POST");
  const shown = `${url.origin}${url.pathname}`;
  const limit = durationSeconds(optionalText(args, "requestTimeout") ?? "30s") ?? 30;
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(limit * 1000)]);
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method,
      headers,
      signal,
      ...(body === undefined ? {} : { body }),
    });
    text = await readText(response);
  } catch (error) {
    if (context.signal.aborted) throw context.signal.reason;
    if (error instanceof RangeError) throw error;
    throw new TypeError(`${method} ${shown}: ${networkReason(error, limit)}`, { cause: error });
  }
  return {
    method,
    url: shown,
    status: response.status,
    statusText: response.statusText,
    headers: Object.fromEntries(response.headers),
    text,
    body: bodyOf(text, response, optionalText(args, "response") ?? "auto"),
  };
}

/** A connection gives the base (Airflow's HTTP connection: schema is the protocol); `url` may be a path on it. */
function urlOf(text: string, connection: Connection | undefined): URL {
  const { host } = connection ?? {};
  const base =
    connection === undefined || host === undefined
      ? undefined
      : host.includes("://")
        ? host
        : `${connection.schema ?? "http"}://${host}${connection.port === undefined ? "" : `:${connection.port}`}`;
  let url: URL;
  try {
    url =
      base === undefined ? new URL(text) : new URL(text, base.endsWith("/") ? base : `${base}/`);
  } catch (error) {
    throw new TypeError(`"${text.slice(0, 200)}" is no address`, { cause: error });
  }
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new TypeError(`only http and https can be asked, not ${url.protocol}`);
  if (base !== undefined && url.origin !== new URL(base).origin)
    throw new TypeError(
      `the address leaves the connection's host (${new URL(base).origin}), and with it would go its password`,
    );
  return url;
}

function authorization(connection: Connection | undefined): Record<string, string> {
  if (connection === undefined) return {};
  const own = connection.extra["headers"];
  const fromExtra = isObject(own) ? textMap({ headers: own }, "headers") : {};
  if (connection.login === undefined && connection.password === undefined) return fromExtra;
  const basic = Buffer.from(`${connection.login ?? ""}:${connection.password ?? ""}`);
  return { ...fromExtra, authorization: `Basic ${basic.toString("base64")}` };
}

function isExpected(status: number, args: Args): boolean {
  const expect = args["expect"];
  if (Array.isArray(expect)) return expect.includes(status);
  if (typeof expect === "number") return status === expect;
  return status >= 200 && status < 300;
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new RangeError("the answer is longer than 16 MiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function bodyOf(text: string, response: Response, as: string): unknown {
  const isJson = /\bjson\b/.test(response.headers.get("content-type") ?? "");
  if (as === "text" || (as === "auto" && !isJson)) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // A broken error page must not hide the status it came with.
    if (as === "auto" || !response.ok) return text;
    throw new TypeError(`the answer is no JSON: ${text.slice(0, 100)}`, { cause: error });
  }
}

function networkReason(error: unknown, limitS: number): string {
  if (error instanceof Error && error.name === "TimeoutError")
    return `no answer within ${limitS} s`;
  const cause = error instanceof Error ? error.cause : undefined;
  const inner: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  if (inner instanceof Error) return inner.message || String((inner as { code?: unknown }).code);
  return error instanceof Error ? error.message : String(error);
}
