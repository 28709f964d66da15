/**
 * A tenant's requirements, read before anything is installed. An environment is shared by whoever has the same
 * text, so the text must say everything: no paths into a repository, no other index, no addresses. Pure.
 */
import { type Answer, bad, good } from "../../platform/model/answer.ts";

export type RequirementsProblem = {
  readonly path: string;
  readonly line: number;
  readonly message: string;
  readonly hint: string;
};

/** Answers the text of a file of the bundle by its path relative to it, or undefined. */
export type ReadFile = (path: string) => string | undefined;

export type Requirements = {
  /** Lines for pip, with every included file written out. */
  readonly lines: readonly string[];
  readonly constraints: readonly string[];
  /** Where a package is named: for messages. Keys are normalised names. */
  readonly places: ReadonlyMap<string, { readonly path: string; readonly line: number }>;
};

const filesMax = 20;
const linesMax = 5000;

export function readRequirements(
  path: string,
  text: string,
  readFile: ReadFile,
): Answer<Requirements, RequirementsProblem> {
  const found = {
    lines: [] as string[],
    constraints: [] as string[],
    places: new Map<string, { path: string; line: number }>(),
    seen: new Set<string>(),
  };
  const problem = readInto(path, text, "lines", readFile, found);
  return problem === undefined ? good(found) : bad(problem);
}

type Found = {
  readonly lines: string[];
  readonly constraints: string[];
  readonly places: Map<string, { path: string; line: number }>;
  readonly seen: Set<string>;
};

function readInto(
  path: string,
  text: string,
  into: "lines" | "constraints",
  readFile: ReadFile,
  found: Found,
): RequirementsProblem | undefined {
  found.seen.add(path);
  for (const { line, body } of logicalLines(text)) {
    const stop = (message: string, hint: string): RequirementsProblem => ({
      path,
      line,
      message,
      hint,
    });
    const include = /^(?:-r|--requirement|-c|--constraint)(?:\s+|=)(\S+)$|^-[rc](\S+)$/.exec(body);
    if (include !== null) {
      const target = inside(path, include[1] ?? include[2] ?? "");
      if (target !== undefined && found.seen.has(target)) continue;
      const content = target === undefined ? undefined : readFile(target);
      if (target === undefined || content === undefined)
        return stop(
          `${body} names a file that is not in the repository.`,
          "Name a file of the repository, relative to this one.",
        );
      if (found.seen.size >= filesMax)
        return stop("Too many included files.", `Include at most ${String(filesMax)} files.`);
      const kind = /^(?:-c|--constraint)/.test(body) ? "constraints" : into;
      const deeper = readInto(target, content, kind, readFile, found);
      if (deeper !== undefined) return deeper;
      continue;
    }
    const refused = refusalOf(body);
    if (refused !== undefined) return stop(...refused);
    if (found.lines.length + found.constraints.length >= linesMax)
      return stop("Too many requirements.", `At most ${String(linesMax)} lines are read.`);
    found[into].push(body);
    const name = nameOf(body);
    if (name !== undefined && !found.places.has(name)) found.places.set(name, { path, line });
  }
  return undefined;
}

const allowedOptions = /^--(?:pre|prefer-binary|require-hashes|no-binary|only-binary)(?:[\s=].*)?$/;

function refusalOf(body: string): [message: string, hint: string] | undefined {
  if (
    /^(?:-i|--index-url|--extra-index-url|-f|--find-links|--no-index|--trusted-host)\b/.test(body)
  )
    return [
      `${optionOf(body)} is not taken from a repository: the package index is the platform's.`,
      "Remove the line; an administrator sets the index for the whole machine (PIP_INDEX_URL or pip.conf).",
    ];
  if (/^(?:-e\b|--editable)/.test(body))
    return [
      "Editable installs are not possible: environments are shared and read-only.",
      "Import the code from the DAG folder instead: it is on the path already.",
    ];
  if (body.startsWith("-"))
    return allowedOptions.test(body)
      ? undefined
      : [`The option ${optionOf(body)} is not known here.`, "Remove the line."];
  if (/^(?:\.{0,2}\/|\.\.?$|~|file:)/i.test(body) || /\s@\s*file:/i.test(body))
    return [
      "A path is no requirement: environments are shared by content, and hold only what the index has.",
      "Put the code into the DAG folder, or publish it to the package index.",
    ];
  if (
    /^(?:[a-z+]+:\/\/|git\+)/i.test(body) ||
    /\s@\s/.test(body) ||
    /^[\w.-]+(?:\[[^\]]*\])?@/.test(body)
  )
    return [
      "An address is no requirement here: the build reaches the package index alone.",
      "Publish the package to the index and name its version.",
    ];
  if (nameOf(body) === undefined)
    return [
      "This is no requirement that pip reads.",
      "Write a name and a version, for example pandas==2.3.3.",
    ];
  return undefined;
}

/** Comments gone, continued lines joined, empty ones left out. */
function logicalLines(text: string): readonly { readonly line: number; readonly body: string }[] {
  const out: { line: number; body: string }[] = [];
  let open: { line: number; body: string } | undefined;
  text
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .forEach((raw, index) => {
      const continued = raw.endsWith("\\");
      const body = (continued ? raw.slice(0, -1) : raw).replace(/(?:^|\s)#.*$/, "").trim();
      if (open === undefined) open = { line: index + 1, body };
      else open.body = `${open.body} ${body}`.trim();
      if (continued) return;
      if (open.body !== "") out.push(open);
      open = undefined;
    });
  if (open !== undefined) out.push(open);
  return out;
}

function inside(from: string, target: string): string | undefined {
  if (target.startsWith("/") || /^[a-z]+:/i.test(target)) return undefined;
  const parts = from.split("/").slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join("/");
}

const optionOf = (body: string): string => /^-{1,2}[\w-]+/.exec(body)?.[0] ?? body.slice(0, 40);

/** PEP 503: how the index and pip's messages name a package. */
const nameOf = (body: string): string | undefined =>
  /^([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(?:$|[[<>=!~;\s(])/
    .exec(body)?.[1]
    ?.toLowerCase()
    .replace(/[-_.]+/g, "-");
