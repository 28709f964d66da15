import { type CheckTools, checkJson, type JsonProblem } from "./check-json.ts";
import type { ParamSpec } from "./dag-spec.ts";

export type ParamProblem = JsonProblem & { readonly param: string };

/**
 * What is wrong with the params of a run that is given `conf`: a param's value is conf's, else its default
 * (Airflow: conf wins by name). What conf holds beside the params is the DAG's own business.
 */
export function findParamProblems(
  params: { readonly [name: string]: ParamSpec },
  conf: { readonly [name: string]: unknown },
  tools: CheckTools,
): readonly ParamProblem[] {
  return Object.entries(params).flatMap(([param, { schema }]) => {
    const value = Object.hasOwn(conf, param) ? conf[param] : schema["default"];
    if (value === undefined) return [{ param, path: [], message: "has no value and no default" }];
    return checkJson(schema, value, tools).map((problem) => ({ param, ...problem }));
  });
}

/** `param rows.2.id must be a whole number`. */
export const paramSentence = ({ param, path, message }: ParamProblem): string =>
  `param ${[param, ...path].join(".")} ${message}`;
