/** A deploy in the words that a push, the command and the page show. */
import type { DeployCounts, DeployError } from "../../platform/store/deploys.ts";

export type DeployFactsToTell = {
  readonly state: "live" | "failed";
  readonly ms: number;
  readonly dags: DeployCounts;
  readonly errors: readonly DeployError[];
};

const errorsShown = 20;

/** `live in 412 ms: 3 DAGs (1 new, 1 changed, 1 unchanged)`, then each problem with its place and the way out. */
export function describeDeploy({ state, ms, dags, errors }: DeployFactsToTell): string[] {
  const total = dags.new + dags.changed + dags.unchanged;
  const parts = (["new", "changed", "unchanged", "removed"] as const).flatMap((name) =>
    dags[name] > 0 ? [`${dags[name]} ${name}`] : [],
  );
  const count = `${total} ${total === 1 ? "DAG" : "DAGs"}`;
  const head =
    state === "live"
      ? `live in ${Math.round(ms)} ms: ${count}${parts.length > 0 ? ` (${parts.join(", ")})` : ""}`
      : `failed after ${Math.round(ms)} ms: nothing of this commit went live; ${total === 0 ? "nothing was live before" : `${count} of before ${total === 1 ? "stays" : "stay"} live`}`;
  const rest = errors.length - errorsShown;
  return [
    head,
    ...errors.slice(0, errorsShown).flatMap(describeError),
    ...(rest > 0 ? [`… and ${rest} more`] : []),
  ];
}

export function describeError({ path, line, message, hint }: DeployError): string[] {
  const place = path === "" ? "" : line === undefined ? `${path}: ` : `${path}:${line}: `;
  return [`${place}${message}`, ...(hint === undefined ? [] : [`    ${hint}`])];
}
