/** A task of a YAML DAG, made ready to run from its payload: the file itself is not read again. */
import type { AttemptStart } from "../../../platform/model/guest.ts";
import { isObject } from "../../../platform/model/json.ts";
import { type OperatorTools, operators } from "../node/operators/catalogue.ts";
import type { Given, Job, JobWork, SensorSpec, TaskRef } from "../node/run-attempt.ts";
import { GivenMark, TaskMark, TemplateMark, unmark } from "./references.ts";
import { evaluate, render, TemplateError } from "./render-template.ts";
import {
  guarded,
  type Names,
  namesFor,
  refuseUnsafe,
  safeInShell,
  safeInSql,
} from "./template-names.ts";

export function yamlJob(start: AttemptStart, tools: OperatorTools): Job {
  const { payload } = start;
  if (!isObject(payload))
    throw new TypeError("the task's spec has no payload; parse its file again");
  const over: unknown = unmark(payload["over"]);
  return {
    input: unmark(payload["args"]),
    over: over instanceof TaskMark ? refOf(over) : Array.isArray(over) ? over : undefined,
    work: workOf(payload, start, tools),
    pushFields: listOf(payload["push"]).map(String),
    outlets: listOf(payload["outlets"]).map((uri) => ({ name: String(uri), uri: String(uri) })),
    isRef: (value) => (value instanceof TaskMark ? refOf(value) : undefined),
  };
}

const refOf = ({ taskId, path, mapped }: TaskMark): TaskRef => ({ taskId, path, mapped });
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Loads and exercises the template engine before it is needed: 20 ms that a spare can spend while nobody waits. */
export function warm(): void {
  render("{% for x in xs if x > 1 %}{{ x | ds }}{% endfor %}{{ ds.split('-')[0] }}", {
    xs: [1, 2],
    ds: "2026-01-01",
  });
  evaluate("a == 'b' and a | length > 0", { a: "b" });
}

type Payload = { readonly [key: string]: unknown };

function workOf(payload: Payload, start: AttemptStart, tools: OperatorTools): JobWork {
  const type = String(payload["type"]);
  if (type === "branch") {
    let chosen: Payload = {};
    return {
      kind: "branch",
      call: async (given) => {
        chosen = await choose(payload, start, given);
        return listOf(chosen["to"]);
      },
      ends: () => {
        const ends = isObject(chosen["ends"]) ? chosen["ends"] : {};
        return {
          followed: listOf(ends["followed"]).map(String),
          skipped: listOf(ends["skipped"]).map(String),
        };
      },
    };
  }
  if (type === "short_circuit")
    return {
      kind: "short_circuit",
      skipped: listOf(payload["skipped"]).map(String),
      call: async (given) => {
        const { args, names } = await filled(start, given);
        return isTrue(String(args["if"]), names);
      },
    };
  const operate = operators.get(type);
  if (operate === undefined) throw new TypeError(`there is no task type "${type}"`);
  const call = async (given: Given): Promise<unknown> => {
    const { args, rendered } = await filled(start, given, type);
    if (Object.keys(rendered).length > 0)
      // For people to look at; a task does not fail because nobody could keep it.
      tools.line
        .ask({ type: "SetRenderedFields", rendered_fields: rendered })
        .catch(() => undefined);
    return operate(args, { ...tools, context: given.context, item: given.item, start });
  };
  return isObject(payload["sensor"])
    ? { kind: "sensor", look: call, spec: payload["sensor"] as SensorSpec }
    : { kind: "task", call };
}

async function choose(payload: Payload, start: AttemptStart, given: Given): Promise<Payload> {
  const cases = listOf(payload["cases"]).filter(isObject);
  const { names } = await filled(
    start,
    given,
    "branch",
    cases.map((one) => String(one["if"])),
  );
  const met = cases.find((one) => isTrue(String(one["if"]), names));
  const otherwise = payload["otherwise"];
  return met ?? (isObject(otherwise) ? otherwise : {});
}

/** A decision on a name that is not there would be a decision nobody made. */
function isTrue(expression: string, names: Names): boolean {
  const value = evaluate(expression, names);
  if (value === undefined) throw new TemplateError(`"${expression}" is undefined`);
  return Boolean(value);
}

type Filled = {
  readonly args: { readonly [name: string]: unknown };
  readonly names: Names;
  /** The fields that had templates, as they came out. */
  readonly rendered: { readonly [name: string]: unknown };
};

/** The task's fields with templates rendered. Outputs of other tasks are in them already, and stay as they are. */
async function filled(
  start: AttemptStart,
  { input, item, context }: Given,
  type?: string,
  expressions: readonly string[] = [],
): Promise<Filled> {
  const fields = isObject(input) ? input : {};
  const own = typeof fields["if"] === "string" ? [fields["if"]] : [];
  const texts = [...templatesIn(input), ...own, ...expressions];
  const base = await namesFor(start, context, item, texts);
  const given = fill(fields["with"] ?? {}, base, context.params, item);
  // The platform's names win: a task's own value must not pass for them.
  const names: Names = { ...(isObject(given) ? given : {}), ...base };
  const args: Record<string, unknown> = {};
  const rendered: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    args[name] =
      name === "with"
        ? given
        : value instanceof TemplateMark
          ? renderField(type, name, value.text, names)
          : fill(value, names, context.params, item);
    if (templatesIn(value).length > 0) rendered[name] = shortened(args[name]);
  }
  return { args, names, rendered };
}

function renderField(type: string | undefined, name: string, text: string, names: Names): string {
  if (type === "bash" && name === "command")
    return refuseUnsafe(
      render(text, guarded(names, safeInShell)),
      'give it to the command by env (NAME: "{{ … }}") and write "$NAME"',
    );
  if (type === "sql" && name === "query")
    return refuseUnsafe(
      render(text, guarded(names, safeInSql)),
      'give it to the statement by with (name: "{{ … }}") and write :name',
    );
  return render(text, names);
}

function fill(value: unknown, names: Names, params: unknown, item: unknown): unknown {
  if (value instanceof TemplateMark) return render(value.text, names);
  if (value instanceof GivenMark) {
    let at: unknown = value.from === "item" ? item : params;
    for (const step of value.path) {
      if (typeof at !== "object" || at === null || !Object.hasOwn(at, step))
        throw new TypeError(`${value.from} has no "${value.path.join(".")}"`);
      at = (at as Readonly<Record<string | number, unknown>>)[step];
    }
    return at;
  }
  // Only our own tree holds marks; an output's objects are copied and no more.
  if (Array.isArray(value)) return value.map((inner) => fill(inner, names, params, item));
  if (isObject(value) && Object.getPrototypeOf(value) === Object.prototype)
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, fill(inner, names, params, item)]),
    );
  return value;
}

function templatesIn(value: unknown, depth = 0): string[] {
  if (value instanceof TemplateMark) return [value.text];
  if (typeof value !== "object" || value === null || depth > 64) return [];
  return Object.values(value).flatMap((inner) => templatesIn(inner, depth + 1));
}

const shownMax = 4096;
function shortened(value: unknown): unknown {
  const json = JSON.stringify(value ?? null);
  return json.length <= shownMax
    ? value
    : `${json.slice(0, shownMax)}… (${json.length} characters)`;
}
