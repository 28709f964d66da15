/** The only fetch of the page. Answers are JSON; what is no answer is a `Problem` with a sentence for people. */
import { lost, reached } from "./connection.ts";

export class Problem extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = "Problem";
    this.status = status;
  }
}

export type Send = {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly body?: unknown;
  readonly signal?: AbortSignal;
};

/** `path`: from `path\`…\`` below, so that no name can leave its place in it. */
export async function ask<T>(path: string, send: Send = {}): Promise<T> {
  const response = await askRaw(path, send);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

export async function askBytes(path: string, send: Send = {}): Promise<ArrayBuffer> {
  return (await askRaw(path, send)).arrayBuffer();
}

export async function askRaw(path: string, send: Send = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, {
      method: send.method ?? "GET",
      credentials: "same-origin",
      ...(send.signal === undefined ? {} : { signal: send.signal }),
      ...(send.body === undefined
        ? {}
        : {
            // The second one: a run says that it was started from the page.
            headers: { "content-type": "application/json", "x-airlock-client": "ui" },
            body: JSON.stringify(send.body),
          }),
    });
  } catch (error) {
    if (send.signal?.aborted === true) throw error;
    lost();
    throw new Problem(0, "The server cannot be reached.");
  }
  if (response.status === 502 || response.status === 503 || response.status === 504) lost();
  else reached();
  if (!response.ok) throw new Problem(response.status, await sentence(response));
  return response;
}

/** `{"detail": text | {reason, message} | [{loc, msg}]}` as a sentence. */
async function sentence(response: Response): Promise<string> {
  const body: unknown = await response.json().catch(() => undefined);
  const detail =
    typeof body === "object" && body !== null && "detail" in body ? body.detail : undefined;
  if (typeof detail === "string") return detail;
  if (Array.isArray(detail))
    return detail
      .map((one: { loc?: unknown[]; msg?: string }) =>
        [one.loc?.slice(1).join("."), one.msg].filter(Boolean).join(": "),
      )
      .join("; ");
  if (typeof detail === "object" && detail !== null)
    return Object.values(detail)
      .filter((part) => typeof part === "string")
      .join(": ");
  return `The server answered ${response.status}.`;
}

/** A tagged template that encodes each value as one segment or query value of the address. */
export function path(parts: TemplateStringsArray, ...values: readonly (string | number)[]): string {
  return parts.reduce(
    (address, part, i) =>
      address + part + (i < values.length ? encodeURIComponent(String(values[i])) : ""),
    "",
  );
}

/** `?a=1&b=2&b=3` of what is there; "" of nothing. */
export function query(
  fields: Readonly<Record<string, string | number | boolean | undefined | readonly string[]>>,
): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? (value as string[]) : [value as string])
      search.append(name, String(one));
  }
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}
