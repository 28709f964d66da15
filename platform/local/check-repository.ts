import { resolve } from "node:path";
import { findDagFiles } from "../../tenants/registry/find-dag-files.ts";
import { defaultLimits } from "../../tenants/registry/limits.ts";
import {
  type RepositoryFile,
  readAirlockYaml,
  withoutAirlockYaml,
} from "../../tenants/registry/read-airlock-yaml.ts";
import { checkTimetable } from "../engine/timetable.ts";
import { type Answer, good } from "../model/answer.ts";
import type { DagSpec, GuestKind } from "../model/dag-spec.ts";
import type { FileProblem, ParsedFile, ParseHost } from "../model/guest.ts";
import { readDagSpec } from "../model/read-dag-spec.ts";
import type { Workshop } from "./open-workshop.ts";
import type { Snapshot } from "./take-snapshot.ts";

export type CheckedFile = {
  /** Relative to the repository. */
  readonly path: string;
  readonly ok: boolean;
  readonly dags: readonly DagSpec[];
  readonly errors: readonly FileProblem[];
  readonly warnings: readonly FileProblem[];
  readonly packages: readonly string[];
  readonly ms: number;
};

export type CheckedRepository = {
  /** One entry per DAG file, and one for whatever else of the repository has a problem; sorted by path. */
  readonly files: readonly CheckedFile[];
  readonly settings: RepositoryFile;
  readonly dagsFolder: string;
};

/**
 * Parses the DAG files of a snapshot as a push would. `only`: absolute files and folders of the author's own
 * repository at `root`; empty means all. A wanted file that is no DAG file is a problem of its own.
 */
export async function checkRepository(
  workshop: Workshop,
  snapshot: Snapshot,
  {
    root,
    only = [],
    host,
    signal,
  }: {
    readonly root: string;
    readonly only?: readonly string[];
    readonly host: ParseHost;
    readonly signal: AbortSignal;
  },
): Promise<CheckedRepository> {
  const settings = await readSettings(snapshot);
  if (!settings.ok)
    return {
      files: [checked("airlock.yaml", { errors: settings.problem })],
      settings: withoutAirlockYaml(defaultLimits),
      dagsFolder: "",
    };
  const found = await findDagFiles(
    { files: snapshot.files, read: (path) => snapshot.read(path) },
    settings.value,
  );
  const wanted = chooseFiles(root, only, found.files);
  const beside = [...found.problems, ...snapshot.warnings.filter(({ path }) => isDagName(path))];
  const byPath = Map.groupBy(beside, ({ path }) => path);
  const results: CheckedFile[] = [
    ...wanted.missing,
    ...[...byPath].map(([path, problems]) => checked(path, { errors: problems.map(withoutPath) })),
  ];
  const kinds = Map.groupBy(wanted.files, kindOf);
  const parsed = await Promise.all(
    [...kinds].map(([kind, files]) =>
      parseFiles(workshop, snapshot, kind, files, found.dagsFolder),
    ),
  );
  results.push(...parsed.flat());
  return {
    files: refuseDoubles(results.toSorted((a, b) => (a.path < b.path ? -1 : 1))),
    settings: settings.value,
    dagsFolder: found.dagsFolder,
  };

  async function parseFiles(
    bench: Workshop,
    taken: Snapshot,
    kind: GuestKind,
    files: readonly string[],
    dagsFolder: string,
  ): Promise<CheckedFile[]> {
    if (!settings.ok) return [];
    const { limits, level } = settings.value;
    const key = await bench.keyFor(kind, taken, { limits, ...(level ? { level } : {}) });
    // Without its environment nothing can be said of a Python file: the one problem is told once, where it lies.
    if (!key.ok) {
      const { path, ...problem } = key.problem;
      return [checked(path ?? "requirements.txt", { errors: [problem] })];
    }
    const done: CheckedFile[] = [];
    const request = {
      key: key.value,
      files,
      dagsFolder,
      ...(level === undefined ? {} : { levelOverride: level }),
    };
    for await (const file of bench.guests.parse(request, host, signal)) done.push(readParsed(file));
    return done;
  }
}

async function readSettings(
  snapshot: Snapshot,
): Promise<Answer<RepositoryFile, readonly FileProblem[]>> {
  if (!snapshot.files.some(({ path }) => path === "airlock.yaml"))
    return good(withoutAirlockYaml(defaultLimits));
  return readAirlockYaml((await snapshot.read("airlock.yaml")).toString("utf8"), defaultLimits);
}

function chooseFiles(
  root: string,
  only: readonly string[],
  found: readonly string[],
): { readonly files: readonly string[]; readonly missing: readonly CheckedFile[] } {
  if (only.length === 0) return { files: found, missing: [] };
  const files = new Set<string>();
  const missing: CheckedFile[] = [];
  for (const path of only) {
    const inside = resolve(path).slice(root.length).replace(/^\/+/, "");
    const below = found.filter(
      (file) => inside === "" || file === inside || file.startsWith(`${inside}/`),
    );
    for (const file of below) files.add(file);
    if (below.length === 0 && /\.\w+$/.test(inside))
      missing.push(checked(inside, { errors: [noDagFile(inside)] }));
  }
  return { files: [...files], missing };
}

const noDagFile = (path: string): FileProblem =>
  path.endsWith(".py")
    ? {
        message: "this is no DAG file",
        hint: "a Python DAG file lies in the DAG folder, mentions airflow and dag, and is not in .airflowignore",
      }
    : {
        message: "this is no DAG file",
        hint: "DAG files lie in the DAG folder and are called *.py, *.dag.ts or *.dag.yaml",
      };

const isDagName = (path: string): boolean => /\.py$|\.dag\.ts$|\.dag\.yaml$/.test(path);
const kindOf = (path: string): GuestKind => (path.endsWith(".py") ? "python" : "node");

function readParsed(file: ParsedFile): CheckedFile {
  const dags: DagSpec[] = [];
  const errors: FileProblem[] = [...file.errors];
  for (const raw of file.dags) {
    const spec = readDagSpec(raw);
    if (!spec.ok) {
      errors.push(...spec.problem);
      continue;
    }
    const timetable = checkTimetable(spec.value.timetable);
    if (timetable.ok) dags.push(spec.value);
    else
      errors.push({
        message: `DAG ${spec.value.dag_id}: ${timetable.problem}`,
        hint: "correct the schedule",
      });
  }
  return checked(file.path, {
    dags,
    errors,
    warnings: file.warnings,
    packages: file.packages,
    ms: file.ms,
  });
}

/** Two files with one DAG id: the first keeps it, as on the server. */
function refuseDoubles(files: readonly CheckedFile[]): readonly CheckedFile[] {
  const owner = new Map<string, string>();
  return files.map((file) => {
    const doubles = file.dags.filter(({ dag_id }) => {
      const first = owner.get(dag_id);
      if (first === undefined) owner.set(dag_id, file.path);
      return first !== undefined;
    });
    if (doubles.length === 0) return file;
    return {
      ...file,
      ok: false,
      dags: file.dags.filter((dag) => !doubles.includes(dag)),
      errors: [
        ...file.errors,
        ...doubles.map(({ dag_id }) => ({
          message: `DAG ${dag_id} is defined in ${owner.get(dag_id) ?? ""} already`,
          hint: "give one of the two another dag_id",
        })),
      ],
    };
  });
}

const checked = (path: string, found: Partial<CheckedFile>): CheckedFile => ({
  path,
  dags: [],
  errors: [],
  warnings: [],
  packages: [],
  ms: 0,
  ...found,
  ok: (found.errors ?? []).length === 0,
});

const withoutPath = (problem: FileProblem & { readonly path: string }): FileProblem => {
  const { path: _path, ...rest } = problem;
  return rest;
};

/** A problem that stands for the whole repository, in the shape of a file's. */
export const badRepository = (problem: FileProblem): CheckedFile =>
  checked(".", { errors: [problem] });
