import { type Answer, bad, good } from "../model/answer.ts";
import {
  type DagId,
  type IdProblem,
  type RepositoryId,
  type RunId,
  readDagId,
  readRepositoryId,
  readRunId,
  readTaskId,
  readTenantId,
  type TaskId,
  type TenantId,
} from "../model/ids.ts";

/** `tenant/dag/run/task[3]`, as far as it goes. */
export type Ref = {
  readonly tenant: TenantId;
  readonly dag?: DagId;
  readonly run?: RunId;
  readonly task?: TaskId;
  readonly map_index?: number;
};

export type Depth = "tenant" | "dag" | "run" | "task";
const depths: readonly Depth[] = ["tenant", "dag", "run", "task"];
const forms = {
  tenant: "tenant",
  dag: "tenant/dag",
  run: "tenant/dag/run",
  task: "tenant/dag/run/task",
};

/** Reads a name that goes at least to `least` and at most to `most`; says which part is wrong and how it should look. */
export function readRef(text: string, least: Depth, most: Depth = least): Answer<Ref, string> {
  const wanted =
    least === most ? `write ${forms[least]}` : `write ${forms[least]}, down to ${forms[most]}`;
  const parts = text.split("/");
  const fewest = depths.indexOf(least) + 1;
  if (parts.length < fewest || parts.length > depths.indexOf(most) + 1)
    return bad(`${quote(text)} is not the name of a ${least}: ${wanted}`);
  const [tenant, dag, run, taskAndIndex] = parts;
  const bracket = /^(.*)\[(\d{1,9})\]$/.exec(taskAndIndex ?? "");
  const task = bracket?.[1] ?? taskAndIndex;
  const read = [
    readTenantId(tenant),
    ...(dag === undefined ? [] : [readDagId(dag)]),
    ...(run === undefined ? [] : [readRunId(run)]),
    ...(task === undefined ? [] : [readTaskId(task)]),
  ] as const;
  for (const [at, part] of read.entries())
    if (!part.ok) return bad(describe(text, parts[at] ?? "", part.problem, wanted));
  return good({
    tenant: tenant as TenantId,
    ...(dag === undefined ? {} : { dag: dag as DagId }),
    ...(run === undefined ? {} : { run: run as RunId }),
    ...(task === undefined ? {} : { task: task as TaskId }),
    ...(bracket === null ? {} : { map_index: Number(bracket[2]) }),
  });
}

/** `tenant/repository`, or `tenant` alone where that is enough. */
export function readRepositoryRef(
  text: string,
  repositoryNeeded: boolean,
): Answer<{ readonly tenant: TenantId; readonly repository?: RepositoryId }, string> {
  const wanted = repositoryNeeded ? "write tenant/repository" : "write tenant or tenant/repository";
  const parts = text.split("/");
  if (parts.length > 2 || (repositoryNeeded && parts.length < 2))
    return bad(`${quote(text)} is not the name of a repository: ${wanted}`);
  const tenant = readTenantId(parts[0]);
  if (!tenant.ok) return bad(describe(text, parts[0] ?? "", tenant.problem, wanted));
  if (parts[1] === undefined) return good({ tenant: tenant.value });
  const repository = readRepositoryId(parts[1]);
  if (!repository.ok) return bad(describe(text, parts[1], repository.problem, wanted));
  return good({ tenant: tenant.value, repository: repository.value });
}

export const refText = (ref: Ref): string =>
  [ref.tenant, ref.dag, ref.run, ref.task].filter((part) => part !== undefined).join("/") +
  (ref.map_index === undefined ? "" : `[${ref.map_index}]`);

function describe(text: string, part: string, problem: IdProblem, wanted: string): string {
  return part === ""
    ? `${quote(text)} has an empty ${problem.field}: ${wanted}`
    : `${quote(part)} in ${quote(text)}: ${problem.message}`;
}

const quote = (text: string): string => JSON.stringify(text.slice(0, 300));
