/**
 * Inside a task's fields there are three kinds of text: a reference `${{ … }}` (a whole value, which makes an
 * edge), a template `{{ … }}` (text, made when the task runs) and text as it stands. In a spec's payload the
 * first two are marked; the marks become objects of their own classes before outputs of other tasks come
 * near, so that no output can pretend to be a template.
 */
import { isObject, type Json } from "../../../platform/model/json.ts";

export type Path = readonly (string | number)[];

/** `a.b[0].c` → its steps, or undefined if it is no such thing. */
export function referencePath(text: string): Path | undefined {
  const inner = /^\s*\$\{\{\s*([\s\S]*?)\s*\}\}\s*$/.exec(text)?.[1];
  if (inner === undefined || inner.length > 500) return undefined;
  if (!/^[\w-]+(?:\.[\w-]+|\[\d{1,9}\]|\["[^"\]]*"\]|\['[^'\]]*'\])*$/.test(inner))
    return undefined;
  return [...inner.matchAll(/(?:^|\.)([\w-]+)|\[(\d+)\]|\["([^"]*)"\]|\['([^']*)'\]/g)].map(
    ([, name, index, double, single]) =>
      index === undefined ? (name ?? double ?? single ?? "") : Number(index),
  );
}

export const looksLikeReference = (text: string): boolean => text.includes("${{");
export const isTemplate = (text: string): boolean => /\{\{|\{%|\{#/.test(text);

const mark = "$airlock";
export const reservedKey = mark;

/** Where a reference leads. */
export type Target =
  | { readonly to: "task"; readonly task: string; readonly mapped: boolean; readonly path: Path }
  | { readonly to: "item"; readonly path: Path }
  | { readonly to: "params"; readonly path: Path };

export const marked = {
  reference: (target: Target): Json => ({ [mark]: "reference", ...target }),
  template: (text: string): Json => ({ [mark]: "template", text }),
};

export class TaskMark {
  readonly taskId: string;
  readonly path: Path;
  readonly mapped: boolean;
  constructor(taskId: string, path: Path, mapped: boolean) {
    this.taskId = taskId;
    this.path = path;
    this.mapped = mapped;
  }
}
export class GivenMark {
  readonly from: "item" | "params";
  readonly path: Path;
  constructor(from: "item" | "params", path: Path) {
    this.from = from;
    this.path = path;
  }
}
export class TemplateMark {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** The payload's tree with objects for its marks. The payload was written by our own reader and checked for depth. */
export function unmark(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unmark);
  if (!isObject(value)) return value;
  const path = Array.isArray(value["path"]) ? (value["path"] as Path) : [];
  if (value[mark] === "template") return new TemplateMark(String(value["text"]));
  if (value[mark] === "reference")
    return value["to"] === "task"
      ? new TaskMark(String(value["task"]), path, value["mapped"] === true)
      : new GivenMark(value["to"] === "item" ? "item" : "params", path);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unmark(inner)]));
}
