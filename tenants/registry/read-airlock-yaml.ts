/**
 * `airlock.yaml`, the optional file by which a repository says how it wants to be read. Hostile until
 * read: at most 64 KiB, no aliases, every key known, each problem with its line.
 */
import { isMap, isScalar, LineCounter, type Pair, type ParsedNode, parseDocument } from "yaml";
import { type Answer, bad, good } from "../../platform/model/answer.ts";
import type { FileProblem, GuestLimits } from "../../platform/model/guest.ts";
import type { SemanticsLevel } from "../../platform/model/states.ts";
import { narrowLimits, readLimit } from "./limits.ts";
import { readFolder } from "./repository-settings.ts";

export type RepositoryFile = {
  /** The DAG folder, relative to the repository (or its subdirectory); absent: `dags`, else the root. */
  readonly dagsFolder?: string;
  /** Overrides the level that a guest infers for each DAG. */
  readonly level?: SemanticsLevel;
  readonly pythonGuest: "light" | "official";
  /** Syntax of `.airflowignore`; absent: by level, else guessed from the file. */
  readonly ignoreSyntax?: IgnoreSyntax;
  /** The file that names the Python environment, instead of the usual search. */
  readonly environmentFile?: string;
  readonly limits: GuestLimits;
};

export type IgnoreSyntax = "glob" | "regexp";

export const airlockYamlBytesMax = 64 * 1024;

export const withoutAirlockYaml = (maxima: GuestLimits): RepositoryFile => ({
  pythonGuest: "light",
  limits: maxima,
});

/** Shapes: text of the file and what the tenant may have at most. All problems at once, in order of lines. */
export function readAirlockYaml(
  text: string,
  maxima: GuestLimits,
): Answer<RepositoryFile, readonly FileProblem[]> {
  if (Buffer.byteLength(text) > airlockYamlBytesMax)
    return bad([
      {
        line: 1,
        message: "airlock.yaml is larger than 64 KiB",
        hint: "it holds a few settings; move the rest elsewhere",
      },
    ]);
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    uniqueKeys: true,
    prettyErrors: false,
  });
  if (document.errors.length > 0)
    return bad(
      document.errors.slice(0, 20).map((error) => ({
        ...position(lines, error.pos[0]),
        message: `airlock.yaml is not valid YAML: ${error.message.split("\n")[0] ?? ""}`,
        hint: "check the indentation and quotes of this line",
      })),
    );
  const root = document.contents;
  if (root === null || (isScalar(root) && root.value === null))
    return good(withoutAirlockYaml(maxima));
  if (!isMap(root))
    return bad([
      {
        line: 1,
        message: "airlock.yaml must be a map of settings",
        hint: "write lines such as `level: 2`",
      },
    ]);

  const problems: FileProblem[] = [];
  const settings: Settings = {};
  for (const pair of root.items) readSetting(pair, { lines, problems, settings, maxima });
  if (problems.length > 0) return bad(problems);
  return good({ ...withoutAirlockYaml(maxima), ...settings });
}

type Settings = { -readonly [K in keyof RepositoryFile]?: RepositoryFile[K] };
type Reading = {
  readonly lines: LineCounter;
  readonly problems: FileProblem[];
  readonly settings: Settings;
  readonly maxima: GuestLimits;
};
type YamlPair = Pair<ParsedNode, ParsedNode | null>;

function readSetting(pair: YamlPair, reading: Reading): void {
  const { settings, maxima } = reading;
  const key = textOf(pair.key) ?? "";
  const value = textOf(pair.value);
  const complain = (message: string, hint: string): void => {
    reading.problems.push({ ...place(reading.lines, pair.value ?? pair.key), message, hint });
  };
  switch (key) {
    case "dags_folder":
    case "environment": {
      const folder = readFolder(value);
      if (!folder.ok || (key === "environment" && folder.value === ""))
        complain(
          `${key} ${folder.ok ? "must name a file" : folder.problem}`,
          "write a path inside the repository, such as `pipelines/dags`",
        );
      else if (key === "dags_folder") settings.dagsFolder = folder.value;
      else settings.environmentFile = folder.value;
      return;
    }
    case "level":
      // The text as written: 1.10 unquoted is the number 1.1 in YAML.
      if (value === "1.10" || value === "2" || value === "3") settings.level = value;
      else complain(`level cannot be ${value ?? "this"}`, "levels are 1.10, 2 and 3");
      return;
    case "guest":
      if (value === "light" || value === "official") settings.pythonGuest = value;
      else complain(`guest cannot be ${value ?? "this"}`, "guests are light and official");
      return;
    case "airflowignore":
      if (value === "glob" || value === "regexp") settings.ignoreSyntax = value;
      else complain(`airflowignore cannot be ${value ?? "this"}`, "its syntax is glob or regexp");
      return;
    case "limits": {
      if (!isMap(pair.value)) {
        complain("limits must be a map", "write lines such as `memory: 256MiB` below it");
        return;
      }
      let limits = maxima;
      for (const item of pair.value.items) limits = readLimitLine(item, limits, reading);
      settings.limits = limits;
      return;
    }
    default:
      reading.problems.push({
        ...place(reading.lines, pair.key),
        message: `airlock.yaml has no setting ${JSON.stringify(key.slice(0, 60))}`,
        hint: "settings are dags_folder, level, guest, environment, airflowignore, limits",
      });
  }
}

function readLimitLine(pair: YamlPair, limits: GuestLimits, reading: Reading): GuestLimits {
  const where = place(reading.lines, pair.value ?? pair.key);
  const raw = isScalar(pair.value) ? pair.value.value : undefined;
  const wish = readLimit(textOf(pair.key) ?? "", raw);
  if (!wish.ok) {
    reading.problems.push({ ...where, message: wish.problem.message, hint: wish.problem.hint });
    return limits;
  }
  const narrowed = narrowLimits(limits, wish.value);
  for (const { message, hint } of narrowed.problems)
    reading.problems.push({ ...where, message, hint });
  return narrowed.limits;
}

function textOf(node: ParsedNode | null): string | undefined {
  if (!isScalar(node)) return undefined;
  if (typeof node.value === "string") return node.value.slice(0, 1000);
  return typeof node.value === "number" ? node.source.slice(0, 60) : undefined;
}

const place = (lines: LineCounter, node: ParsedNode | null): { line: number; column: number } =>
  position(lines, node?.range[0] ?? 0);

function position(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}
