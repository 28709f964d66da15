/**
 * Text templates (`{{ … }}`) and expressions by minijinja: Rust compiled to WebAssembly, so a template
 * sees the values it is given and no JavaScript behind them. What runs too long runs out of fuel.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Environment, initSync } from "minijinja-js/dist/web/minijinja_js.js";

/** The one path to a file of our own: beside the program when it was bundled, else in its package. */
const wasmBeside = fileURLToPath(new URL("./minijinja_js_bg.wasm", import.meta.url));
const fuel = 200_000;
const outputMax = 1024 * 1024;
const templateMax = 256 * 1024;

export class TemplateError extends Error {
  override readonly name = "TemplateError";
}

/** Throws `TemplateError`: an undefined name, a syntax error, a template that takes too long. */
export function render(template: string, names: object): string {
  if (template.length > templateMax) throw new TemplateError("the template is longer than 256 KiB");
  const text = tried(template, () => environment().renderStr(template, names));
  if (text.length > outputMax) throw new TemplateError("the template renders to more than 1 MiB");
  return text;
}

/** The value of an expression. Mappings come as `Map`. */
export function evaluate(expression: string, names: object): unknown {
  return tried(expression, () => environment().evalExpr(expression, names) as unknown);
}

/** What is wrong with a template's or expression's syntax, with its line in the text; names are not looked up. */
export function syntaxProblem(
  text: string,
  kind: "template" | "expression",
): { readonly message: string; readonly line: number } | undefined {
  const probe = kind === "template" ? text : `{{ ${text} }}`;
  try {
    const checker = fresh();
    checker.addTemplate("probe", probe);
    return undefined;
  } catch (error) {
    const { message, line } = read(error);
    return { message, line };
  }
}

let ready: Environment | undefined;
let loaded = false;

function environment(): Environment {
  ready ??= fresh();
  return ready;
}

function fresh(): Environment {
  if (!loaded) {
    const path = existsSync(wasmBeside)
      ? wasmBeside
      : createRequire(import.meta.url).resolve("minijinja-js/dist/web/minijinja_js_bg.wasm");
    initSync({ module: readFileSync(path) });
    loaded = true;
  }
  const made = new Environment();
  made.undefinedBehavior = "strict";
  made.enablePyCompat();
  made.fuel = fuel;
  made.keepTrailingNewline = true;
  made.removeGlobal("debug");
  for (const [name, filter] of Object.entries(filters)) made.addFilter(name, filter);
  return made;
}

/** Airflow's filters on times, which are ISO 8601 text here. */
const filters: Readonly<Record<string, (value: unknown) => string>> = {
  ds: (value) => String(value).slice(0, 10),
  ds_nodash: (value) => String(value).slice(0, 10).replaceAll("-", ""),
  ts: (value) => String(value),
  ts_nodash: (value) => String(value).slice(0, 19).replaceAll(/[-:]/g, ""),
  ts_nodash_with_tz: (value) => String(value).replaceAll(/[-:]/g, ""),
};

function tried<T>(text: string, deed: () => T): T {
  try {
    return deed();
  } catch (error) {
    // After a trap the engine's memory is in an unknown state; the next use gets a fresh one.
    ready = undefined;
    const { message, line } = read(error);
    const source = (text.split("\n")[line - 1] ?? "").trim().slice(0, 120);
    // minijinja's mappings know get with one argument only.
    const hint =
      message.startsWith("unknown method") && /\.get\([^()]*,/.test(source)
        ? "; for a default write x.key | default('…')"
        : "";
    throw new TemplateError(`${message} in "${source}"${hint}`, { cause: error });
  }
}

function read(error: unknown): { message: string; line: number } {
  const text = error instanceof Error ? error.message : String(error);
  const first = text.split("\n")[0] ?? "";
  const line = Number(/\(in [^)]*?:(\d+)\)/.exec(first)?.[1] ?? 1);
  const message = first.replace(/ \(in [^)]*\)$/, "");
  return {
    message: message.includes("fuel")
      ? "the template takes too long (it ran out of fuel)"
      : message,
    line,
  };
}
