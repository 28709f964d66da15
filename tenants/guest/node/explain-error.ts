/** What an author is told about an error: its class and message, and only the frames of the author's own files. */
import { isObject } from "../../../platform/model/json.ts";
import { type Place, placesInStack } from "../sdk/problem.ts";
import { insideOf } from "./load-author-file.ts";

export type Explained = {
  /** One sentence: `TypeError: …`. At most 4,000 characters. */
  readonly reason: string;
  /** The reason and the frames in the author's files, as `dags/orders.dag.ts:12:5`. */
  readonly trace: string;
  readonly place?: Place;
};

export function explainError(thrown: unknown, root: string): Explained {
  // Where the checkout lies is nobody's business but the sandbox's.
  const reason = reasonOf(thrown).replaceAll(`${root}/`, "").slice(0, 4000);
  const places = thrown instanceof Error ? ownPlaces(thrown, root) : [];
  const causes = causesOf(thrown).map((cause) => `\nCaused by ${reasonOf(cause).slice(0, 1000)}`);
  const trace = [
    reason,
    ...places.slice(0, 50).map(({ file, line, column }) => `\n    at ${file}:${line}:${column}`),
    ...causes,
  ].join("");
  return { reason, trace, ...(places[0] === undefined ? {} : { place: places[0] }) };
}

function reasonOf(thrown: unknown): string {
  if (thrown instanceof Error) {
    // A class of the author's own usually keeps the name "Error"; its constructor says more.
    const constructor: unknown = thrown.constructor;
    const name =
      thrown.name === "Error" && typeof constructor === "function" && constructor.name !== ""
        ? constructor.name
        : thrown.name;
    const message = String(thrown.message).replace(/^\s+|\s+$/g, "");
    return message === "" ? name : `${name}: ${message}`;
  }
  if (typeof thrown === "string") return thrown;
  try {
    return `${typeof thrown} thrown: ${JSON.stringify(thrown)}`;
  } catch {
    return `${typeof thrown} thrown`;
  }
}

function causesOf(thrown: unknown): unknown[] {
  const causes: unknown[] = [];
  for (
    let at = thrown;
    at instanceof Error && at.cause !== undefined && causes.length < 5;
    at = at.cause
  )
    causes.push(at.cause);
  return causes;
}

function ownPlaces(error: Error, root: string): Place[] {
  const stack = typeof error.stack === "string" ? error.stack : "";
  // A syntax error has no frame; Node puts its place above the message.
  const heading = /^(?:file:\/\/)?(\/[^\n]*?):(\d+)(?::(\d+))?\n/.exec(stack);
  const caret = /\n( *)\^+/.exec(stack);
  const placed: Place[] =
    heading?.[1] === undefined
      ? []
      : [
          {
            file: heading[1],
            line: Number(heading[2]),
            column: heading[3] === undefined ? (caret?.[1]?.length ?? 0) + 1 : Number(heading[3]),
          },
        ];
  return [...placed, ...placesInStack(stack)].flatMap((place) => {
    const file = insideOf(root, place.file);
    return file === undefined ? [] : [{ ...place, file }];
  });
}

/** Fields of errors that Node's own modules throw. */
export const codeOf = (thrown: unknown): string | undefined =>
  isObject(thrown) && typeof thrown["code"] === "string" ? thrown["code"] : undefined;
