/**
 * `*.dag.yaml` → DAG specs, or problems with line and column. It never throws and its work is bounded,
 * whatever the bytes are: size before parsing, aliases and nodes before anything walks the tree.
 */
import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Document, LineCounter, parseAllDocuments, type YAMLParseError } from "yaml";
import type { DagSpec, GroupSpec, MapSpec, TaskSpec } from "../../../platform/model/dag-spec.ts";
import type { FileProblem } from "../../../platform/model/guest.ts";
import { known } from "../../../platform/model/ids.ts";
import { isObject, type Json } from "../../../platform/model/json.ts";
import { insideOf } from "../node/load-author-file.ts";
import type { FileFacts } from "../node/parse-file.ts";
import { filesOfTask } from "../node/trace-files.ts";
import { branchEnds, tasksMax } from "../sdk/build-dag.ts";
import { durationSeconds } from "../sdk/duration.ts";
import { paramSpec } from "../sdk/params.ts";
import { nearest } from "../sdk/problem.ts";
import { sensorSpec, taskOptionNames, taskSpec } from "../sdk/task-spec.ts";
import { instant, timetableOf } from "../sdk/timetable.ts";
import { allDownstream, type Thread, weave } from "../sdk/weave.ts";
import { type DagDef, dagShape, type GroupDef, type TaskDef } from "./dag-shape.ts";
import { explainShape } from "./explain-shape.ts";
import { doubleKeys, type Places, placesOf } from "./places.ts";
import {
  isTemplate,
  looksLikeReference,
  marked,
  referencePath,
  reservedKey,
  type Target,
} from "./references.ts";
import { syntaxProblem } from "./render-template.ts";

const bytesMax = 1024 * 1024;
const aliasesMax = 1000;
const nodesMax = 200_000;
const depthMax = 32;
const problemsMax = 50;
const handful = 5;
const handfulTold = 3;
const payloadBytesMax = 64 * 1024;

/** `root`: real path of the bundle; `path`: the file's, relative to it. */
export function readYamlFile(root: string, path: string, bytes: Uint8Array): FileFacts {
  const inputs = new Set([path]);
  const find = (name: string): string | undefined => {
    const found = [join(root, dirname(path), name), join(root, name)].find(
      (full) => existsSync(full) && statSync(full).isFile(),
    );
    return found === undefined ? undefined : insideOf(root, realpathSync(found));
  };
  const { dags, problems, warnings } = readYamlDags(bytes, find);
  for (const { payload } of dags.flatMap((dag) => dag.tasks)) {
    const args = isObject(payload) ? payload["args"] : undefined;
    if (!isObject(args)) continue;
    for (const file of filesOfTask(root, path, plainTexts(args))) inputs.add(file);
  }
  return {
    dags: problems.length === 0 ? dags : [],
    errors: problems,
    warnings,
    inputs: [...inputs],
    packages: ["airlock:yaml"],
  };
}

/** A command with templates still names the same programs. */
const plainTexts = (args: { readonly [name: string]: unknown }): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(args).map(([name, value]) => [
      name,
      isObject(value) && value[reservedKey] === "template" ? value["text"] : value,
    ]),
  );

export type YamlDags = {
  readonly dags: readonly DagSpec[];
  readonly problems: readonly FileProblem[];
  readonly warnings: readonly FileProblem[];
};

/** `find`: where a script or SQL file of that name is, relative to the bundle. Several documents are several DAGs. */
export function readYamlDags(
  bytes: Uint8Array,
  find: (name: string) => string | undefined,
): YamlDags {
  const one = (message: string, hint?: string): YamlDags => ({
    dags: [],
    problems: [{ line: 1, column: 1, message, ...(hint === undefined ? {} : { hint }) }],
    warnings: [],
  });
  if (bytes.length > bytesMax)
    return one(
      `the file is ${(bytes.length / 1024 / 1024).toFixed(1)} MiB, a DAG file may have 1 MiB`,
      "Keep data in files of its own and read them in tasks.",
    );
  try {
    return readDocuments(new TextDecoder().decode(bytes), find);
  } catch (error) {
    // The parser recurses; a file that nests a hundred thousand levels is not worth more than this.
    if (error instanceof RangeError) return one("the file nests too deep");
    return one(
      `the file cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function readDocuments(text: string, find: (name: string) => string | undefined): YamlDags {
  const nesting = deepestNesting(text);
  if (nesting.depth > 200)
    return {
      dags: [],
      problems: [{ line: nesting.line, column: 1, message: "the file nests too deep" }],
      warnings: [],
    };
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    merge: true,
    prettyErrors: false,
    // Its own check is quadratic: 20,000 tasks took 40 seconds. `doubleKeys` is ours.
    uniqueKeys: false,
    logLevel: "error",
  });
  const dags: DagSpec[] = [];
  const problems: FileProblem[] = [];
  for (const document of Array.isArray(documents) ? documents : []) {
    const read = readDocument(document, lines, find);
    if (read.dag !== undefined) {
      if (dags.some((dag) => dag.dag_id === read.dag?.dag_id))
        problems.push({
          ...read.at,
          message: `the DAG "${read.dag.dag_id}" is declared twice in this file`,
        });
      dags.push(read.dag);
    }
    problems.push(...read.problems);
    if (problems.length > problemsMax) break;
  }
  const warnings: FileProblem[] =
    dags.length === 0 && problems.length === 0
      ? [{ message: "this file declares no DAG", hint: "Give it an `id` and `tasks`." }]
      : [];
  return { dags, problems: firstOf(problems), warnings };
}

/**
 * One slip, a missing indent, say, makes many problems further down: the same one is told once, and of more
 * than a handful the first few, since the rest is mostly their echo.
 */
function firstOf(problems: readonly FileProblem[]): FileProblem[] {
  const alike = new Map<string, FileProblem[]>();
  for (const problem of problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0))) {
    const known = alike.get(problem.message);
    if (known === undefined) alike.set(problem.message, [problem]);
    else known.push(problem);
  }
  const told = [...alike.values()].flatMap(([first, ...again]) =>
    first === undefined ? [] : [withHint(first, sameOn(first, again))],
  );
  if (told.length <= handful) return told;
  const rest = told.length - handfulTold;
  return told
    .slice(0, handfulTold)
    .map((problem, i) =>
      i + 1 < handfulTold
        ? problem
        : withHint(problem, `${String(rest)} further problems may come from the ones told here.`),
    );
}

function sameOn(first: FileProblem, again: readonly FileProblem[]): string | undefined {
  const lines = [...new Set(again.map(({ line }) => line))].filter((line) => line !== first.line);
  if (lines.length === 0) return undefined;
  const more = lines.length > 3 ? ` and ${String(lines.length - 3)} more` : "";
  return `The same on line ${lines.slice(0, 3).join(", ")}${more}.`;
}

const withHint = (problem: FileProblem, hint: string | undefined): FileProblem =>
  hint === undefined
    ? problem
    : { ...problem, hint: problem.hint === undefined ? hint : `${problem.hint} ${hint}` };

/** Brackets that are open at once; strings and comments count too, which only makes the guess higher. */
function deepestNesting(text: string): { depth: number; line: number } {
  let depth = 0;
  let deepest = { depth: 0, line: 1 };
  let line = 1;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 10) line++;
    else if (code === 91 || code === 123) {
      depth++;
      if (depth > deepest.depth) deepest = { depth, line };
    } else if ((code === 93 || code === 125) && depth > 0) depth--;
  }
  // A block sequence nests by "- - - -" on one line as well.
  const dashes = /^ *((?:- ){200,})/m.exec(text);
  return dashes === null
    ? deepest
    : { depth: 201, line: text.slice(0, dashes.index).split("\n").length };
}

type ReadDocument = {
  readonly dag?: DagSpec;
  readonly at: { readonly line: number; readonly column: number };
  readonly problems: readonly FileProblem[];
};

function readDocument(
  document: Document,
  lines: LineCounter,
  find: (name: string) => string | undefined,
): ReadDocument {
  const places = placesOf(document, lines);
  const at = places.value([]);
  // What follows the first break of the syntax is mostly its echo.
  const [broken] = document.errors;
  if (broken !== undefined) return { at, problems: [syntaxBreak(broken, lines)] };
  const doubles = doubleKeys(document, lines);
  if (doubles.length > 0)
    return {
      at,
      problems: doubles
        .slice(0, problemsMax)
        .map(({ key, ...place }) => ({ ...place, message: `the key "${key}" is there twice` })),
    };
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: aliasesMax });
  } catch (error) {
    if (error instanceof RangeError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    return {
      at,
      problems: [
        {
          ...at,
          message: message.includes("alias count")
            ? `the file's aliases (*name) expand to more than ${aliasesMax} copies`
            : `no YAML: ${message}`,
        },
      ],
    };
  }
  if (value === null || value === undefined) return { at, problems: [] };
  const size = measure(value);
  if (size !== undefined) return { at, problems: [{ ...at, message: size }] };
  const shaped = dagShape.safeParse(value);
  if (!shaped.success)
    return {
      at,
      problems: explainShape(shaped.error.issues, value)
        .slice(0, problemsMax)
        .map(({ path, about, message, hint }) => ({
          ...(about === "key" ? places.key(path) : places.value(path)),
          message,
          ...(hint === undefined ? {} : { hint }),
        })),
    };
  const reader = new DagReader(shaped.data, places, find);
  const dag = reader.read();
  return { at, ...(dag === undefined ? {} : { dag }), problems: reader.problems };
}

function syntaxBreak(error: YAMLParseError, lines: LineCounter): FileProblem {
  const { line, col } = lines.linePos(error.pos[0]);
  const message = error.message.split("\n")[0] ?? "";
  const hint =
    error.code === "TAB_AS_INDENT"
      ? "Indent with spaces."
      : error.code === "UNEXPECTED_TOKEN" || error.code === "BAD_INDENT"
        ? "Text with [ ] { } , : or # in it needs quotes around it."
        : undefined;
  return {
    line: Math.max(1, line),
    column: Math.max(1, col),
    message: message.includes("call stack") ? "the file nests too deep" : `no YAML: ${message}`,
    ...(hint === undefined ? {} : { hint }),
  };
}

/** A sentence when the value is larger than anything a DAG needs. Iterative, counting shared parts every time. */
function measure(value: unknown): string | undefined {
  const open: { value: unknown; depth: number }[] = [{ value, depth: 0 }];
  let nodes = 0;
  for (let top = open.pop(); top !== undefined; top = open.pop()) {
    if (++nodes > nodesMax) return `the file holds more than ${nodesMax} values`;
    if (typeof top.value !== "object" || top.value === null) continue;
    if (top.depth >= depthMax) return `the file nests deeper than ${depthMax} levels`;
    for (const inner of Object.values(top.value)) open.push({ value: inner, depth: top.depth + 1 });
  }
  return undefined;
}

type Flat = {
  readonly id: string;
  readonly group: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly task: Exclude<TaskDef, GroupDef>;
};
type FlatGroup = {
  readonly id: string;
  readonly parent: string | undefined;
  readonly path: readonly PropertyKey[];
  readonly def: GroupDef;
};

/** Fields of a task that are not templates: code is code, expressions are evaluated, the rest is read by us. */
const literalFields = new Set([
  "code",
  "if",
  "until",
  "type",
  "needs",
  "map",
  "cases",
  "else",
  "outlets",
]);
const ownFields = new Set([...taskOptionNames, "type", "needs", "map", "outlets", "cases", "else"]);

class DagReader {
  readonly problems: FileProblem[] = [];
  readonly #def: DagDef;
  readonly #places: Places;
  readonly #find: (name: string) => string | undefined;
  readonly #tasks = new Map<string, Flat>();
  readonly #groups = new Map<string, FlatGroup>();
  readonly #groupOf = new Map<string, string>();
  /** Per task, what it waits for. */
  readonly #after = new Map<string, { id: string; at: { line: number; column: number } }[]>();
  readonly #push = new Map<string, Set<string>>();

  constructor(def: DagDef, places: Places, find: (name: string) => string | undefined) {
    this.#def = def;
    this.#places = places;
    this.#find = find;
  }

  read(): DagSpec | undefined {
    const def = this.#def;
    this.#flatten(def.tasks, undefined, ["tasks"], 0);
    if (this.#tasks.size > tasksMax) {
      this.#wrong(
        ["tasks"],
        `the DAG has ${this.#tasks.size} tasks, at most ${tasksMax} are allowed`,
      );
      return undefined;
    }
    for (const group of this.#groups.values())
      this.#order(group.id, group.parent, group.def.needs, [...group.path, "needs"]);
    const payloads = new Map<string, Payload>();
    const maps = new Map<string, MapSpec>();
    for (const flat of this.#tasks.values()) {
      this.#order(flat.id, flat.group, flat.task.needs, [...flat.path, "needs"]);
      const map = this.#map(flat);
      if (map !== undefined) maps.set(flat.id, map.spec);
      payloads.set(flat.id, this.#payload(flat, map?.over));
    }
    const downstream = this.#weave();
    const tasks = [...this.#tasks.values()].map((flat) =>
      this.#spec(flat, payloads.get(flat.id), maps.get(flat.id), downstream),
    );
    const timezone = this.#timezone();
    const timetable = this.#timetable(timezone);
    const startDate = this.#instant("startDate");
    const endDate = this.#instant("endDate");
    if (this.problems.length > 0 || timetable === undefined) return undefined;
    const timeoutS = def.timeout === undefined ? undefined : durationSeconds(def.timeout);
    const catchup =
      def.catchup ?? (typeof def.schedule === "object" ? def.schedule.catchup : undefined) ?? false;
    return {
      dag_id: known.dag(def.id),
      ...(def.displayName === undefined ? {} : { display_name: def.displayName }),
      ...(def.description === undefined ? {} : { description: def.description }),
      ...(def.doc === undefined ? {} : { doc_md: def.doc }),
      tags: def.tags ?? [],
      owners: [def.owner ?? "airflow"],
      level: "3",
      guest: "node",
      timetable,
      ...(startDate === undefined ? {} : { start_date: startDate }),
      ...(endDate === undefined ? {} : { end_date: endDate }),
      timezone,
      catchup,
      max_active_runs: def.maxActiveRuns ?? 16,
      max_active_tasks: def.maxActiveTasks ?? 16,
      max_consecutive_failed_dag_runs: def.pauseAfterFailedRuns ?? 0,
      ...(timeoutS === undefined ? {} : { dagrun_timeout_s: timeoutS }),
      fail_fast: def.failFast ?? false,
      ...(def.paused === undefined ? {} : { is_paused_upon_creation: def.paused }),
      params: Object.fromEntries(
        Object.entries(def.params ?? {}).map(([name, schema]) => [name, paramSpec(schema)]),
      ),
      render_template_as_native_obj: false,
      has_success_callback: false,
      has_failure_callback: false,
      groups: [...this.#groups.values()].map(groupSpec),
      tasks,
    };
  }

  #wrong(
    path: readonly PropertyKey[],
    message: string,
    hint?: string,
    about: "key" | "value" = "value",
  ): void {
    this.#wrongAt(
      about === "key" ? this.#places.key(path) : this.#places.value(path),
      message,
      hint,
    );
  }

  #wrongAt(at: { line: number; column: number }, message: string, hint?: string): void {
    this.problems.push({ ...at, message, ...(hint === undefined ? {} : { hint }) });
  }

  #flatten(
    tasks: Readonly<Record<string, TaskDef>>,
    group: string | undefined,
    path: readonly PropertyKey[],
    depth: number,
  ): void {
    for (const [name, task] of Object.entries(tasks)) {
      const id = group === undefined ? name : `${group}.${name}`;
      const own = [...path, name];
      if (id.length > 250)
        this.#wrong(own, `the id "${id.slice(0, 60)}…" is longer than 250 characters`);
      if (["params", "item"].includes(name))
        this.#wrong(
          own,
          `a task cannot be called "${name}": references use that name`,
          undefined,
          "key",
        );
      if (group !== undefined) this.#groupOf.set(id, group);
      if (task.type === "group") {
        if (depth > 8) this.#wrong(own, "groups nest deeper than 8 levels");
        this.#groups.set(id, { id, parent: group, path: own, def: task });
        this.#flatten(task.tasks, id, [...own, "tasks"], depth + 1);
      } else this.#tasks.set(id, { id, group, path: own, task });
    }
  }

  /** Names are looked for where they are used first, then outwards, group by group. */
  #resolve(
    names: readonly string[],
    group: string | undefined,
  ): { id: string; used: number } | undefined {
    for (let scope = group; ; scope = this.#groupOf.get(scope)) {
      for (let used = names.length; used > 0; used--) {
        const id = [...(scope === undefined ? [] : [scope]), ...names.slice(0, used)].join(".");
        if (this.#tasks.has(id) || this.#groups.has(id)) return { id, used };
      }
      if (scope === undefined) return undefined;
    }
  }

  #order(
    id: string,
    group: string | undefined,
    needs: string | readonly string[] | undefined,
    path: readonly PropertyKey[],
  ): void {
    const list = this.#after.get(id) ?? [];
    this.#after.set(id, list);
    const names = needs === undefined ? [] : typeof needs === "string" ? [needs] : needs;
    for (const [index, name] of names.entries()) {
      const own = typeof needs === "string" ? path : [...path, index];
      const found = this.#resolve(name.split("."), group);
      if (found === undefined || found.used !== name.split(".").length) this.#unknown(name, own);
      else list.push({ id: found.id, at: this.#places.value(own) });
    }
  }

  #unknown(name: string, path: readonly PropertyKey[]): void {
    const meant = nearest(name, [...this.#tasks.keys(), ...this.#groups.keys()]);
    this.#wrong(
      path,
      `there is no task or group "${name.slice(0, 100)}"`,
      meant === undefined ? undefined : `Did you mean \`${meant}\`?`,
    );
  }

  /** A reference's target; it makes an edge. Undefined after saying what is wrong with it. */
  #target(
    flat: Flat,
    text: string,
    path: readonly PropertyKey[],
    over: boolean,
  ): Target | undefined {
    const steps = referencePath(text);
    if (steps === undefined) {
      this.#wrong(
        path,
        "a reference is the whole value, for example ${{ extract.rows }}",
        "In text write {{ name }} and give the task `with: { name: ${{ … }} }`.",
      );
      return undefined;
    }
    const [first] = steps;
    if (first === "item") {
      if (this.#isMapped(flat) && !over) return { to: "item", path: steps.slice(1) };
      this.#wrong(
        path,
        `"${flat.id}" is not mapped, so there is no item`,
        "Give it `map: { over: … }`.",
      );
      return undefined;
    }
    if (first === "params") {
      const name = steps[1];
      if (typeof name === "string" && !Object.hasOwn(this.#def.params ?? {}, name)) {
        const meant = nearest(name, Object.keys(this.#def.params ?? {}));
        this.#wrong(
          path,
          `there is no param "${name}"`,
          meant === undefined ? "Declare it under `params`." : `Did you mean \`${meant}\`?`,
        );
        return undefined;
      }
      return { to: "params", path: steps.slice(1) };
    }
    const index = steps.findIndex((step) => typeof step === "number");
    const names = index < 0 ? steps : steps.slice(0, index);
    const found = this.#resolve(names.map(String), flat.group);
    const task = found === undefined ? undefined : this.#tasks.get(found.id);
    if (found === undefined || task === undefined) {
      if (found === undefined) this.#unknown(String(first), path);
      else
        this.#wrong(
          path,
          `"${found.id}" is a group and has no output`,
          "Refer to one of its tasks.",
        );
      return undefined;
    }
    if (task.id === flat.id) {
      this.#wrong(path, `"${flat.id}" refers to its own output`);
      return undefined;
    }
    this.#after.get(flat.id)?.push({ id: task.id, at: this.#places.value(path) });
    return {
      to: "task",
      task: task.id,
      mapped: this.#isMapped(task),
      path: steps.slice(found.used),
    };
  }

  #isMapped(flat: Flat): boolean {
    return "map" in flat.task && flat.task.map !== undefined;
  }

  #map(flat: Flat): { readonly spec: MapSpec; readonly over: Json } | undefined {
    const map = "map" in flat.task ? flat.task.map : undefined;
    if (map === undefined) return undefined;
    const path = [...flat.path, "map", "over"];
    const { over } = map;
    if (typeof over !== "string") {
      const values = over.map((item, index) => this.#tree(flat, item, [...path, index], true));
      return {
        spec: { kind: "product", sources: [{ kind: "literal", length: over.length }] },
        over: values,
      };
    }
    const target = this.#target(flat, over, path, true);
    if (target === undefined) return undefined;
    if (target.to !== "task") {
      this.#wrong(
        path,
        "only the output of a task can be mapped over",
        "Put a task between that returns it.",
      );
      return undefined;
    }
    const [field, ...deeper] = target.path;
    if (deeper.length > 0 || typeof field === "number" || (field !== undefined && target.mapped))
      this.#wrong(
        path,
        "only a whole output or one field of it can be mapped over",
        "Put a task between that returns the list.",
      );
    if (typeof field === "string")
      this.#push.set(target.task, (this.#push.get(target.task) ?? new Set()).add(field));
    return {
      spec: {
        kind: "product",
        sources: [
          {
            kind: "task",
            task_id: known.task(target.task),
            key: typeof field === "string" ? field : "return_value",
          },
        ],
      },
      over: marked.reference(target),
    };
  }

  /** A value of a task's fields with its references and templates marked. */
  #tree(flat: Flat, value: unknown, path: readonly PropertyKey[], literal: boolean): Json {
    if (typeof value === "string") {
      if (literal) return value;
      if (looksLikeReference(value)) {
        const target = this.#target(flat, value, path, false);
        return target === undefined ? null : marked.reference(target);
      }
      if (!isTemplate(value)) return value;
      this.#syntax(value, "template", path);
      return marked.template(value);
    }
    if (Array.isArray(value))
      return value.map((item, index) => this.#tree(flat, item, [...path, index], literal));
    if (isObject(value)) {
      if (Object.hasOwn(value, reservedKey)) this.#wrong(path, `the key "${reservedKey}" is taken`);
      return Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [
          key,
          this.#tree(flat, inner, [...path, key], literal),
        ]),
      );
    }
    return typeof value === "number" || typeof value === "boolean" ? value : null;
  }

  #syntax(text: string, kind: "template" | "expression", path: readonly PropertyKey[]): void {
    const problem = syntaxProblem(text, kind);
    if (problem !== undefined)
      this.#wrongAt(this.#places.lineIn(path, problem.line), `${kind}: ${problem.message}`);
  }

  #payload(flat: Flat, over: Json | undefined): Payload {
    const { task, path } = flat;
    const args: Record<string, Json> = {};
    for (const [name, value] of Object.entries(task)) {
      if (ownFields.has(name) || value === undefined) continue;
      const own = [...path, name];
      args[name] = this.#tree(flat, value, own, literalFields.has(name));
      if ((name === "if" || name === "until") && typeof value === "string")
        this.#syntax(value, "expression", own);
    }
    for (const name of Object.keys(("with" in task ? task.with : undefined) ?? {}))
      if (templateNames.has(name))
        this.#wrong(
          [...path, "with", name],
          `"${name}" is a name that templates have already`,
          undefined,
          "key",
        );
    this.#files(flat);
    this.#alternatives(flat);
    const cases =
      task.type === "branch"
        ? task.cases.map((one, index) => {
            this.#syntax(one.if, "expression", [...path, "cases", index, "if"]);
            return { if: one.if, to: this.#targets(flat, one.to, [...path, "cases", index, "to"]) };
          })
        : undefined;
    const otherwise =
      task.type === "branch" ? this.#targets(flat, task.else ?? [], [...path, "else"]) : undefined;
    return {
      type: task.type === "shell" ? "bash" : task.type,
      args,
      ...(over === undefined ? {} : { over }),
      ...(cases === undefined ? {} : { cases }),
      ...(otherwise === undefined ? {} : { otherwise }),
    };
  }

  #targets(flat: Flat, to: string | readonly string[], path: readonly PropertyKey[]): string[] {
    return (typeof to === "string" ? [to] : to).flatMap((name) => {
      const found = this.#resolve(name.split("."), flat.group);
      if (found === undefined || found.used !== name.split(".").length) {
        this.#unknown(name, path);
        return [];
      }
      const list = this.#after.get(found.id) ?? [];
      this.#after.set(found.id, list);
      list.push({ id: flat.id, at: this.#places.value(path) });
      return [found.id];
    });
  }

  #files(flat: Flat): void {
    for (const name of ["script", "file"] as const) {
      const file: unknown = (flat.task as Readonly<Record<string, unknown>>)[name];
      if (typeof file === "string" && !isTemplate(file) && this.#find(file) === undefined)
        this.#wrong(
          [...flat.path, name],
          `the file "${file.slice(0, 200)}" is neither beside this file nor at the repository's root`,
        );
    }
  }

  /** Fields of which a task has exactly one, or which go together. */
  #alternatives(flat: Flat): void {
    const { task, path, id } = flat;
    const one = (...names: string[]): void => {
      const there = names.filter(
        (name) => (task as Readonly<Record<string, unknown>>)[name] !== undefined,
      );
      if (there.length !== 1)
        this.#wrong(
          path,
          there.length === 0
            ? `"${id}" needs ${names.map((name) => `\`${name}\``).join(" or ")}`
            : `"${id}" has ${there.map((name) => `\`${name}\``).join(" and ")}, only one is possible`,
          undefined,
          "key",
        );
    };
    if (task.type === "python" || task.type === "node") one("script", "code");
    if (task.type === "sql") {
      if ((task.rows === undefined) !== (task.into === undefined))
        this.#wrong(path, `"${id}" needs \`rows\` and \`into\` together`, undefined, "key");
      else one("query", "file", "rows");
    }
  }

  #weave(): ReadonlyMap<string, readonly string[]> {
    const thread = (one: { id: string; path: readonly PropertyKey[] }): Thread => ({
      id: one.id,
      at: { file: "", ...this.#places.key(one.path) },
      after: (this.#after.get(one.id) ?? []).map(({ id, at }) => ({ id, at: { file: "", ...at } })),
    });
    const woven = weave(
      [...this.#tasks.values()].map(thread),
      [...this.#groups.values()].map(thread),
      this.#groupOf,
    );
    for (const { message, at, hint } of woven.problems)
      this.#wrongAt({ line: at?.line ?? 1, column: at?.column ?? 1 }, message, hint);
    return woven.downstream;
  }

  #spec(
    flat: Flat,
    payload: Payload | undefined,
    map: MapSpec | undefined,
    downstream: ReadonlyMap<string, readonly string[]>,
  ): TaskSpec {
    const { task, id } = flat;
    const push = [...(this.#push.get(id) ?? [])];
    const reach = (from: string): Set<string> => allDownstream(downstream, from);
    const ends = (targets: readonly string[]): Json => ({
      ...branchEnds({ downstream, groupOf: this.#groupOf }, id, targets, reach),
    });
    const full: Json = {
      type: payload?.type ?? task.type,
      args: payload?.args ?? {},
      push,
      outlets: task.outlets ?? [],
      ...(payload?.over === undefined ? {} : { over: payload.over }),
      ...(payload?.cases === undefined
        ? {}
        : { cases: payload.cases.map((one) => ({ if: one.if, to: one.to, ends: ends(one.to) })) }),
      ...(payload?.otherwise === undefined
        ? {}
        : { otherwise: { to: payload.otherwise, ends: ends(payload.otherwise) } }),
      ...(task.type === "short_circuit"
        ? {
            skipped:
              task.respectTriggerRules === true ? [...(downstream.get(id) ?? [])] : [...reach(id)],
          }
        : {}),
    };
    const sensor = task.type === "http.sensor" ? sensorSpec(task) : undefined;
    const payloadJson = sensor === undefined ? full : { ...full, sensor };
    const bytes = Buffer.byteLength(JSON.stringify(payloadJson));
    if (bytes > payloadBytesMax)
      this.#wrong(
        flat.path,
        `"${id}" takes ${Math.ceil(bytes / 1024)} KiB, a task may take 64 KiB`,
        "Move its code or query into a file of its own.",
        "key",
      );
    const options = { ...this.#def.defaults, ...task };
    return taskSpec(
      {
        id,
        operator: payload?.type ?? task.type,
        group: flat.group,
        downstream: downstream.get(id) ?? [],
        runsIn: task.type === "empty" ? "inline" : "node",
        ...(map === undefined ? {} : { map }),
        ...(task.type === "branch" || task.type === "short_circuit" ? { decides: task.type } : {}),
        ...(sensor === undefined ? {} : { sensor }),
        templateFields: templateFields(payload?.args ?? {}),
        payload: payloadJson,
        multipleOutputs: push.length > 0,
      },
      {
        ...options,
        concurrency: "map" in task ? task.map?.concurrency : undefined,
      },
    );
  }

  #timezone(): string {
    const { schedule } = this.#def;
    return typeof schedule === "object" && "cron" in schedule
      ? (schedule.timezone ?? "UTC")
      : "UTC";
  }

  #timetable(
    timezone: string,
  ): Exclude<ReturnType<typeof timetableOf>, { kind: "wrong" }> | undefined {
    const { schedule } = this.#def;
    const found = timetableOf(
      schedule === undefined || typeof schedule === "string"
        ? schedule
        : "cron" in schedule
          ? {
              kind: "cron",
              expression: schedule.cron,
              tz: schedule.timezone,
              intervals: schedule.intervals,
            }
          : { kind: "every", every: schedule.every },
      timezone,
    );
    if (found.kind !== "wrong") return found;
    const about =
      typeof schedule !== "object"
        ? []
        : "every" in schedule
          ? ["every"]
          : found.message.includes("time zone")
            ? ["timezone"]
            : ["cron"];
    this.#wrong(["schedule", ...about], found.message);
    return undefined;
  }

  #instant(name: "startDate" | "endDate"): string | undefined {
    const text = this.#def[name];
    if (text === undefined) return undefined;
    const found = instant(text);
    if (found === undefined)
      this.#wrong([name], `"${text}" is no date, write for example 2026-01-31`);
    return found;
  }
}

/** Names of a template's context that a task's own `with` cannot take over. */
export const templateNames: ReadonlySet<string> = new Set([
  "ds",
  "ds_nodash",
  "ts",
  "ts_nodash",
  "ts_nodash_with_tz",
  "logical_date",
  "execution_date",
  "data_interval_start",
  "data_interval_end",
  "params",
  "dag_run",
  "run_id",
  "var",
  "conn",
  "macros",
  "dag",
  "task",
  "ti",
  "task_instance",
  "item",
  "map_index",
  "try_number",
]);

type Payload = {
  readonly type: string;
  readonly args: Readonly<Record<string, Json>>;
  readonly over?: Json;
  readonly cases?: readonly { readonly if: string; readonly to: readonly string[] }[];
  readonly otherwise?: readonly string[];
};

const groupSpec = ({ id, parent, def }: FlatGroup): GroupSpec => ({
  group_id: id,
  ...(parent === undefined ? {} : { parent }),
  ...(def.tooltip === undefined ? {} : { tooltip: def.tooltip }),
  prefix_group_id: true,
});

const templateFields = (args: Readonly<Record<string, Json>>): string[] =>
  Object.entries(args)
    .filter(([, value]) => JSON.stringify(value).includes(`"${reservedKey}"`))
    .map(([name]) => name);
