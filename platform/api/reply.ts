/** Exactly `application/json`: airflowctl takes a body with a charset, or `problem+json`, for no error at all. */
export const json = (
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Response =>
  new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", ...headers },
  });

export const nothing = (): Response => new Response(null, { status: 204 });

/**
 * JSON text as a value that is written again digit by digit: a number that JavaScript would round (a 64-bit id,
 * 1e400) keeps its text.
 */
export function faithfulJson(text: string): unknown {
  return JSON.parse(text, (_key: string, value: unknown, context?: { source?: string }) => {
    const source = context?.source;
    return typeof value === "number" && source !== undefined && JSON.stringify(value) !== source
      ? rawJson(source)
      : value;
  });
}

/** In Node 24, not yet in the ES2024 types. */
const { rawJSON: rawJson } = JSON as unknown as {
  readonly rawJSON: (text: string) => unknown;
};
