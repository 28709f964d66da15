/** What zod found → sentences an author can act on, each with the path it is about. */
import type * as z from "zod";
import { isObject } from "../../../platform/model/json.ts";
import { nearest } from "../sdk/problem.ts";
import { keysAt, typeNames } from "./dag-shape.ts";

export type ShapeProblem = {
  readonly path: readonly PropertyKey[];
  /** Whether the key at the end of the path is meant, or its value. */
  readonly about: "key" | "value";
  readonly message: string;
  readonly hint?: string;
};

export function explainShape(issues: readonly z.core.$ZodIssue[], value: unknown): ShapeProblem[] {
  const problems = issues.flatMap((issue) => explain(issue, [], value));
  // An unknown key beside a missing one is one mistake: a misspelt name.
  const misspelt = new Set(
    problems.flatMap((problem) => (problem.meant === undefined ? [] : [problem.meant])),
  );
  return problems
    .filter(
      (problem) =>
        problem.missing === undefined ||
        !misspelt.has(`${pathText(problem.path)}\n${problem.missing}`),
    )
    .map(({ meant: _meant, missing: _missing, ...problem }) => problem);
}

type Explained = ShapeProblem & { readonly meant?: string; readonly missing?: string };

function explain(
  issue: z.core.$ZodIssue,
  before: readonly PropertyKey[],
  value: unknown,
): Explained[] {
  const path = [...before, ...issue.path];
  const found = valueAt(value, path);
  const name = pathText(path);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => {
        const type = isObject(found) ? found["type"] : undefined;
        const meant = nearest(key, keysAt(path, type));
        const where = typeof type === "string" && path.length > 1 ? ` in a ${type} task` : "";
        return {
          path: [...path, key],
          about: "key",
          message: `unknown key "${key}"${where}`,
          ...(meant === undefined
            ? {}
            : { hint: `Did you mean \`${meant}\`?`, meant: `${name}\n${meant}` }),
        };
      });
    case "invalid_union": {
      if ("discriminator" in issue && issue.discriminator === "type")
        return [typeProblem(path, value)];
      const best = nearestBranch(issue.errors);
      if (best === undefined) return [{ path, about: "value", message: `${name} is not right` }];
      if (best.some((inner) => inner.path.length > 0 || inner.code === "unrecognized_keys"))
        return best.flatMap((inner) => explain(inner, path, value));
      const wanted = [
        ...new Set(
          issue.errors
            .flat()
            .flatMap((inner) => (inner.code === "invalid_type" ? [plain(inner.expected)] : [])),
        ),
      ];
      const own = best.find((inner) => inner.code !== "invalid_type");
      return [
        {
          path,
          about: "value",
          message:
            own === undefined
              ? `${name} must be ${wanted.join(" or ")}, not ${shape(found)}`
              : `${name} ${own.message}`,
        },
      ];
    }
    case "invalid_key":
      return [
        {
          path,
          about: "key",
          message: `the id "${String(path.at(-1))}" ${issue.issues[0]?.message ?? "is not right"}`,
        },
      ];
    case "invalid_type": {
      const key = String(path.at(-1) ?? "");
      if (found === undefined && path.length > 0)
        return [
          {
            path: path.slice(0, -1),
            about: "key",
            message: `${path.length > 1 ? `"${String(path.at(-2))}"` : "the DAG"} has no \`${key}\``,
            missing: key,
          },
        ];
      const type = isObject(found) ? "a mapping" : shape(found);
      return [
        {
          path,
          about: "value",
          message: `${name === "" ? "a DAG file" : name} must be ${plain(issue.expected)}, not ${type}`,
          ...(issue.expected === "string" && typeof found !== "object"
            ? { hint: "Put it in quotes." }
            : {}),
        },
      ];
    }
    case "invalid_value": {
      const words = issue.values.map(String);
      const meant = typeof found === "string" ? nearest(found, words) : undefined;
      return [
        {
          path,
          about: "value",
          message: `${name} must be one of ${words.join(", ")}`,
          ...(meant === undefined ? {} : { hint: `Did you mean \`${meant}\`?` }),
        },
      ];
    }
    case "too_small":
      return [{ path, about: "value", message: `${name} must be at least ${issue.minimum}` }];
    case "too_big":
      return [{ path, about: "value", message: `${name} must be at most ${issue.maximum}` }];
    case "custom":
    case "invalid_element":
    case "invalid_format":
    case "not_multiple_of":
      return [{ path, about: "value", message: `${name}: ${issue.message}` }];
  }
}

function typeProblem(path: readonly PropertyKey[], value: unknown): Explained {
  const found = valueAt(value, path);
  const task = String(path.at(-2));
  if (found === undefined)
    return {
      path: path.slice(0, -1),
      about: "key",
      message: `"${task}" has no \`type\``,
      hint: `One of ${typeNames.join(", ")}.`,
    };
  const meant = typeof found === "string" ? nearest(found, typeNames) : undefined;
  return {
    path,
    about: "value",
    message: `unknown task type ${JSON.stringify(found).slice(0, 60)}`,
    hint: meant === undefined ? `One of ${typeNames.join(", ")}.` : `Did you mean \`${meant}\`?`,
  };
}

/** Of several shapes, the one the value comes nearest to: fewest complaints, and about its inside rather than itself. */
function nearestBranch(
  branches: readonly (readonly z.core.$ZodIssue[])[],
): readonly z.core.$ZodIssue[] | undefined {
  const cost = (issues: readonly z.core.$ZodIssue[]): number =>
    issues.reduce(
      (sum, issue) => sum + (issue.path.length === 0 && issue.code === "invalid_type" ? 100 : 1),
      0,
    );
  return branches.toSorted((a, b) => cost(a) - cost(b))[0];
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<PropertyKey, unknown>)[step];
  }
  return at;
}

const pathText = (path: readonly PropertyKey[]): string => path.map(String).join(".");

const plain = (expected: string): string =>
  ({
    string: "text",
    number: "a number",
    int: "a whole number",
    boolean: "true or false",
    array: "a list",
    object: "a mapping",
    record: "a mapping",
  })[expected] ?? expected;

const shape = (value: unknown): string => {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  if (typeof value === "string") return `text`;
  return typeof value === "boolean" ? `true or false` : `a ${typeof value}`;
};
