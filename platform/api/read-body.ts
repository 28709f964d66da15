import type { z } from "zod";
import { isObject } from "../model/json.ts";
import { badRequest, type FieldProblem, HttpProblem } from "./problem.ts";

const bodyBytesMax = 1024 * 1024;
const depthMax = 64;

/** A JSON object of a request, read with bounds and checked against `schema`; `form`: a form is taken as well. */
export async function readBody<T extends z.ZodObject>(
  request: Request,
  schema: T,
  options: { readonly form?: boolean } = {},
): Promise<z.output<T>> {
  const type = (request.headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase();
  const isForm = options.form === true && type === "application/x-www-form-urlencoded";
  if (type !== "application/json" && !isForm)
    throw new HttpProblem(415, "The content type must be application/json");
  const text = await readText(request);
  return checkFields(
    isForm ? Object.fromEntries(new URLSearchParams(text)) : parse(text),
    schema,
    "body",
  );
}

/** `raw` against a schema, or 422 with every field that is wrong, in FastAPI's words. */
export function checkFields<T extends z.ZodType>(
  raw: unknown,
  schema: T,
  where: string,
): z.output<T> {
  const checked = schema.safeParse(withoutUnknownNulls(raw, schema));
  if (checked.success) return checked.data;
  throw new HttpProblem(
    422,
    checked.error.issues.slice(0, 50).flatMap((issue) => problemsOf(issue, where)),
  );
}

async function readText(request: Request): Promise<string> {
  const declared = Number(request.headers.get("content-length") ?? 0);
  const tooLarge = (): HttpProblem =>
    new HttpProblem(413, `The body must be at most ${bodyBytesMax} bytes`);
  if (declared > bodyBytesMax) throw tooLarge();
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const body: AsyncIterable<Uint8Array> | undefined = request.body ?? undefined;
  for await (const part of body ?? []) {
    bytes += part.byteLength;
    // The declared length is the sender's word; this is the fact.
    if (bytes > bodyBytesMax) throw tooLarge();
    parts.push(part);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts));
  } catch {
    throw badRequest("The body is not UTF-8");
  }
}

function parse(text: string): unknown {
  if (depthOf(text) > depthMax)
    throw badRequest(`The body must not be nested deeper than ${depthMax}`);
  try {
    return JSON.parse(text);
  } catch {
    throw new HttpProblem(422, [
      { loc: ["body"], msg: "The body is not valid JSON", type: "json_invalid" },
    ]);
  }
}

/** Counted before parsing: a parser that recurses must never see what is too deep for it. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at);
    if (inString) {
      if (character === 92) at++;
      else if (character === 34) inString = false;
    } else if (character === 34) inString = true;
    else if (character === 123 || character === 91) deepest = Math.max(deepest, ++depth);
    else if (character === 125 || character === 93) depth--;
  }
  return deepest;
}

/** Airflow's clients send every field they know, unset ones as null; those that we do not know say nothing. */
function withoutUnknownNulls(raw: unknown, schema: z.ZodType): unknown {
  if (!isObject(raw) || !("shape" in schema) || !isObject(schema.shape)) return raw;
  const { shape } = schema;
  return Object.fromEntries(
    Object.entries(raw).filter(([key, value]) => value !== null || Object.hasOwn(shape, key)),
  );
}

function problemsOf(issue: z.core.$ZodIssue, where: string): FieldProblem[] {
  const loc = [
    where,
    ...issue.path.map((part) => (typeof part === "number" ? part : String(part))),
  ];
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({
      loc: [...loc, key.slice(0, 100)],
      msg: "Extra inputs are not permitted",
      type: "extra_forbidden",
    }));
  if (issue.code === "invalid_type" && issue.message.endsWith("received undefined"))
    return [{ loc, msg: "Field required", type: "missing" }];
  return [{ loc, msg: issue.message, type: issue.code }];
}
