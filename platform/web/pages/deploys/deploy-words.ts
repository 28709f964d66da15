/** A deploy in words and shares: functions of its facts alone. */
import type { DeploysPage } from "../../../api/ui/deploys.ts";

export type Line = DeploysPage["deploys"][number];
export type Repository = DeploysPage["repositories"][number];

export const short = (commit: string | null | undefined): string =>
  commit === null || commit === undefined || commit === "" ? "–" : commit.slice(0, 10);

/** An actor of the audit log as people call each other: `user:ann` is ann. */
export const nameOf = (actor: string | null): string | undefined =>
  actor?.replace(/^(?:user|group|token):/, "");

/** How it came about, as the end of "… by ann". */
export function reasonWords({ reason, asked_by }: Pick<Line, "reason" | "asked_by">): string {
  const by = nameOf(asked_by);
  const who = by === undefined ? "" : ` by ${by}`;
  switch (reason) {
    case "push":
      return `pushed${who}`;
    case "webhook":
      return "told by the git host";
    case "poll":
      return "found by polling";
    case "asked":
      return by === undefined ? "first sync, or asked for" : `sync asked for${who}`;
    case "retry":
      return "tried again";
    case "rollback":
      return `rolled back${who}`;
    case "restored":
      return `rollback taken back${who}`;
  }
}

/** What of it is live now: the newest deploy that made the live commit live. */
export function standing(
  line: Pick<Line, "deploy" | "repository" | "commit" | "state">,
  all: readonly Pick<Line, "deploy" | "repository" | "commit" | "state">[],
  repositories: readonly Pick<Repository, "repository" | "live_commit">[],
): "live" | "was live" | "failed" | "syncing" {
  if (line.state !== "live") return line.state;
  const live = repositories.find(({ repository }) => repository === line.repository)?.live_commit;
  if (line.commit === null || line.commit !== live) return "was live";
  const newest = all.find(
    ({ repository, commit, state }) =>
      repository === line.repository && commit === live && state === "live",
  );
  return newest === undefined || newest.deploy === line.deploy ? "live" : "was live";
}

/** May one go back to the commit of this line? It was live, and it is not what is live now. */
export const canGoBackTo = (
  line: Pick<Line, "repository" | "commit" | "was_live">,
  repositories: readonly Pick<Repository, "repository" | "live_commit" | "rollback">[],
): boolean => {
  const at = repositories.find(({ repository }) => repository === line.repository);
  return (
    line.was_live &&
    line.commit !== null &&
    at !== undefined &&
    line.commit !== (at.rollback?.commit ?? at.live_commit)
  );
};

export function dagWords(dags: Line["dags"]): string {
  const total = dags.new + dags.changed + dags.unchanged;
  const parts = (["new", "changed", "removed"] as const).flatMap((name) =>
    dags[name] > 0 ? [`${dags[name]} ${name}`] : [],
  );
  return `${total} ${total === 1 ? "DAG" : "DAGs"}${parts.length === 0 ? "" : `: ${parts.join(", ")}`}`;
}

export type Part = { readonly name: string; readonly ms: number; readonly share: number };
const partNames = ["fetch", "checkout", "environment", "parse", "store"] as const;

/** The parts in their order, each with its share of the whole; what no part explains is "other". */
export function partsOf({ parts, ms }: Pick<Line, "parts" | "ms">): readonly Part[] {
  if (parts === null || ms === null || ms <= 0) return [];
  const known = partNames.flatMap((name) => {
    const took = parts[name];
    return took === undefined ? [] : [{ name: name as string, ms: took }];
  });
  const rest = ms - known.reduce((sum, part) => sum + part.ms, 0);
  const all = rest >= 1 ? [...known, { name: "other", ms: rest }] : known;
  const whole = Math.max(
    ms,
    all.reduce((sum, part) => sum + part.ms, 0),
  );
  return all.map((part) => ({ ...part, share: part.ms / whole }));
}
