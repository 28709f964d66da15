/**
 * Which files of a repository are DAG files: the contract's folder rule, `.airflowignore`, and Airflow's
 * safe-mode heuristic for Python. Serves sync (a checkout) and a laptop (a working folder) alike: it
 * knows paths and a way to read them, not where they lie.
 */
import type { FileProblem } from "../../platform/model/guest.ts";
import { applyAirflowIgnore, type IgnoreFile } from "./airflow-ignore.ts";
import { repositoryBounds, sizeText } from "./limits.ts";
import type { IgnoreSyntax, RepositoryFile } from "./read-airlock-yaml.ts";

export type DagFiles = {
  /** `dags`, what airlock.yaml says, or "" when the repository is itself the folder. */
  readonly dagsFolder: string;
  /** Relative to the repository, sorted. */
  readonly files: readonly string[];
  readonly problems: readonly (FileProblem & { readonly path: string })[];
};

export type Tree = {
  readonly files: readonly {
    readonly path: string;
    readonly bytes: number;
    readonly blob?: string;
  }[];
  /** Content of a file of the tree. Called for `.airflowignore` and for Python files of allowed size only. */
  read(path: string): Promise<Buffer>;
};

export async function findDagFiles(
  tree: Tree,
  settings: Pick<RepositoryFile, "dagsFolder" | "level" | "ignoreSyntax">,
): Promise<DagFiles> {
  const dagsFolder = chooseFolder(tree, settings.dagsFolder);
  const prefix = dagsFolder === "" ? "" : `${dagsFolder}/`;
  const inside = tree.files.filter(({ path }) => path.startsWith(prefix));
  const problems: (FileProblem & { path: string })[] = [];
  if (inside.length === 0 && settings.dagsFolder !== undefined)
    problems.push({
      path: "airlock.yaml",
      message: `dags_folder ${dagsFolder} does not exist in the repository`,
      hint: "create it or correct the setting",
    });

  const wanted = inside.filter(({ path }) => isDagName(path, dagsFolder));
  const ignore = await readIgnoreFiles(tree, inside, prefix);
  const { ignored, problems: ignoreProblems } = applyAirflowIgnore(
    ignore,
    wanted.map(({ path }) => path.slice(prefix.length)),
    settings.ignoreSyntax ?? syntaxOfLevel(settings.level),
  );
  for (const { folder, ...problem } of ignoreProblems)
    problems.push({
      ...problem,
      path: `${prefix}${folder === "" ? "" : `${folder}/`}.airflowignore`,
    });

  const files: string[] = [];
  for (const { path, bytes, blob } of wanted) {
    if (ignored.has(path.slice(prefix.length))) continue;
    if (bytes > repositoryBounds.dagFileBytes) {
      if (!path.endsWith(".py") || /(^|\/)dags\//.test(path))
        problems.push({
          path,
          message: `a DAG file may have ${sizeText(repositoryBounds.dagFileBytes)}, this one has ${sizeText(bytes)}`,
          hint: "move data out of the DAG file, into include/ or an object store",
        });
      continue;
    }
    if (path.endsWith(".py") && !(await mightContainDag(tree, path, blob))) continue;
    files.push(path);
  }
  if (files.length > repositoryBounds.dagFiles) {
    problems.push({
      path: files[repositoryBounds.dagFiles] ?? "",
      message: `the repository has ${files.length} DAG files; the limit is ${repositoryBounds.dagFiles}, the rest was left out`,
      hint: "split the repository",
    });
    files.length = repositoryBounds.dagFiles;
  }
  return { dagsFolder, files: files.toSorted(), problems };
}

function chooseFolder(tree: Tree, wish: string | undefined): string {
  if (wish !== undefined) return wish;
  return tree.files.some(({ path }) => path.startsWith("dags/")) ? "dags" : "";
}

const neverDags = /(^|\/)(node_modules|__pycache__|\.[^/]+)\//;

function isDagName(path: string, dagsFolder: string): boolean {
  if (neverDags.test(path)) return false;
  // A repository that is its own DAG folder still has its import roots beside the DAGs.
  if (dagsFolder === "" && /^(plugins|include)\//.test(path)) return false;
  return path.endsWith(".py") || path.endsWith(".dag.ts") || path.endsWith(".dag.yaml");
}

const syntaxOfLevel = (level: RepositoryFile["level"]): IgnoreSyntax | undefined =>
  level === undefined ? undefined : level === "3" ? "glob" : "regexp";

async function readIgnoreFiles(
  tree: Tree,
  inside: Tree["files"],
  prefix: string,
): Promise<IgnoreFile[]> {
  const found = inside.filter(
    ({ path, bytes }) => /(^|\/)\.airflowignore$/.test(path) && bytes < 1024 * 1024,
  );
  return Promise.all(
    found.slice(0, 200).map(async ({ path }) => ({
      folder: path.slice(prefix.length).replace(/\/?\.airflowignore$/, ""),
      text: (await tree.read(path)).toString("utf8"),
    })),
  );
}

/** By content, so a push that changes one of 500 files reads one. */
const verdicts = new Map<string, boolean>();
const verdictsMax = 100_000;

/** Airflow's `might_contain_dag`: the bytes "airflow" and ("dag" or, since 3, "asset"), in any case. */
async function mightContainDag(
  tree: Tree,
  path: string,
  blob: string | undefined,
): Promise<boolean> {
  const seen = blob === undefined ? undefined : verdicts.get(blob);
  if (seen !== undefined) return seen;
  const text = (await tree.read(path)).toString("latin1").toLowerCase();
  const verdict = text.includes("airflow") && (text.includes("dag") || text.includes("asset"));
  if (blob !== undefined) {
    if (verdicts.size >= verdictsMax) verdicts.clear();
    verdicts.set(blob, verdict);
  }
  return verdict;
}
