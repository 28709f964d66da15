/** What a commit changes, decided from what its files hold and what is live. Pure: no clock, no database. */
import type { DagSpec } from "../../platform/model/dag-spec.ts";
import type { FileProblem } from "../../platform/model/guest.ts";
import type { DagId } from "../../platform/model/ids.ts";

export type FileFinding =
  | { readonly kind: "unchanged"; readonly path: string; readonly dagIds: readonly DagId[] }
  | { readonly kind: "parsed"; readonly path: string; readonly dags: readonly FoundDag[] }
  | { readonly kind: "bad"; readonly path: string; readonly problems: readonly FileProblem[] };

export type FoundDag = { readonly spec: DagSpec; readonly hash: string };

export type LiveDagFacts = {
  readonly dag_id: DagId;
  readonly path: string;
  readonly hash: string;
  readonly state: "active" | "retired";
};

export type DeployFacts = {
  readonly findings: readonly FileFinding[];
  /** This repository's DAGs, retired ones included. */
  readonly live: readonly LiveDagFacts[];
  /** DAG ids that other repositories of the tenant have live. */
  readonly foreign: ReadonlyMap<DagId, { readonly repository: string; readonly path: string }>;
  readonly foreignCount: number;
  readonly dagsMax: number;
};

export type DeployPlan = {
  /** `failed`: nothing of it goes live, what was live stays. */
  readonly state: "live" | "failed";
  /** New ones and ones whose version changed. */
  readonly publish: readonly (FoundDag & { readonly path: string })[];
  /** Same version, new checkout. */
  readonly move: readonly { readonly dag_id: DagId; readonly path: string }[];
  readonly retire: readonly DagId[];
  readonly badFiles: readonly {
    readonly path: string;
    readonly problems: readonly FileProblem[];
  }[];
  readonly counts: {
    readonly new: number;
    readonly changed: number;
    readonly unchanged: number;
    readonly removed: number;
  };
};

/** A file is good or bad as a whole: with one bad DAG in it, none of it moves, and its last good version stays. */
export function planDeploy(facts: DeployFacts): DeployPlan {
  const live = new Map(facts.live.map((dag) => [dag.dag_id, dag]));
  const bad = new Map<string, readonly FileProblem[]>();
  const claims = new Map<DagId, string>();
  const good: Exclude<FileFinding, { kind: "bad" }>[] = [];
  for (const finding of inOrderOfClaim(facts.findings, live)) {
    if (finding.kind === "bad") {
      bad.set(finding.path, finding.problems);
      continue;
    }
    const ids =
      finding.kind === "parsed" ? finding.dags.map(({ spec }) => spec.dag_id) : finding.dagIds;
    const problems = claimProblems(ids, claims, facts);
    if (problems.length > 0) {
      bad.set(finding.path, problems);
      continue;
    }
    for (const id of ids) claims.set(id, finding.path);
    good.push(finding);
  }

  const badFiles = [...bad]
    .map(([path, problems]) => ({ path, problems }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const kept = facts.live.filter(
    ({ dag_id, path, state }) => state === "active" && !claims.has(dag_id) && bad.has(path),
  );
  if (good.length === 0 && badFiles.length > 0) {
    const active = facts.live.filter(({ state }) => state === "active").length;
    return {
      state: "failed",
      publish: [],
      move: [],
      retire: [],
      badFiles,
      counts: { new: 0, changed: 0, unchanged: active, removed: 0 },
    };
  }

  const publish: (FoundDag & { path: string })[] = [];
  const move: { dag_id: DagId; path: string }[] = [];
  let fresh = 0;
  for (const finding of good) {
    if (finding.kind === "unchanged") {
      for (const dag_id of finding.dagIds) move.push({ dag_id, path: finding.path });
      continue;
    }
    for (const dag of finding.dags) {
      const before = live.get(dag.spec.dag_id);
      if (before?.state === "active" && before.hash === dag.hash)
        move.push({ dag_id: dag.spec.dag_id, path: finding.path });
      else {
        publish.push({ ...dag, path: finding.path });
        if (before?.state !== "active") fresh += 1;
      }
    }
  }
  const retire = facts.live
    .filter(
      ({ dag_id, path, state }) => state === "active" && !claims.has(dag_id) && !bad.has(path),
    )
    .map(({ dag_id }) => dag_id);
  return {
    state: "live",
    publish,
    move,
    retire,
    badFiles,
    counts: {
      new: fresh,
      changed: publish.length - fresh,
      unchanged: move.length + kept.length,
      removed: retire.length,
    },
  };
}

/** Who has a DAG live keeps it against a newcomer that uses the same id; beyond that, by path. */
function inOrderOfClaim(
  findings: readonly FileFinding[],
  live: ReadonlyMap<DagId, LiveDagFacts>,
): readonly FileFinding[] {
  const isHolder = (finding: FileFinding): boolean => {
    if (finding.kind === "bad") return false;
    const ids =
      finding.kind === "parsed" ? finding.dags.map(({ spec }) => spec.dag_id) : finding.dagIds;
    return ids.some(
      (id) => live.get(id)?.state === "active" && live.get(id)?.path === finding.path,
    );
  };
  return findings
    .map((finding) => ({ finding, rank: isHolder(finding) ? 0 : 1 }))
    .toSorted((a, b) => a.rank - b.rank || (a.finding.path < b.finding.path ? -1 : 1))
    .map(({ finding }) => finding);
}

function claimProblems(
  ids: readonly DagId[],
  claims: ReadonlyMap<DagId, string>,
  facts: DeployFacts,
): FileProblem[] {
  const problems: FileProblem[] = [];
  const own = new Set<DagId>();
  for (const id of ids) {
    const other = facts.foreign.get(id);
    const path = claims.get(id);
    if (own.has(id))
      problems.push({
        message: `the file defines the DAG ${id} twice`,
        hint: "give each DAG an id of its own",
      });
    else if (path !== undefined)
      problems.push({
        message: `the DAG ${id} is already defined in ${path}`,
        hint: "give one of them another id",
      });
    else if (other)
      problems.push({
        message: `the DAG ${id} is already defined in ${other.path} of the repository ${other.repository}`,
        hint: "give one of them another id, or remove it there first",
      });
    own.add(id);
  }
  if (problems.length === 0 && facts.foreignCount + claims.size + own.size > facts.dagsMax)
    problems.push({
      message: `a tenant may have ${facts.dagsMax} DAGs; this file is beyond that`,
      hint: "remove DAGs that nobody needs, or ask an admin for a second tenant",
    });
  return problems;
}
