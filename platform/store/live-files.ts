/** The files that live DAGs come from, each once, at the commit that new runs use. */
import { type SeenIds, seenIn } from "./filters.ts";
import type { Tx } from "./open.ts";

export type LiveFile = {
  readonly repository: string;
  readonly commit: string;
  readonly path: string;
  readonly dag_ids: readonly string[];
};

export const listLiveFiles = (tx: Tx, dags: SeenIds, limit: number): Promise<readonly LiveFile[]> =>
  tx<LiveFile[]>`
    select repository, commit, path, json_agg(dag_id order by dag_id) as dag_ids from airlock.dag
     where tenant = airlock.current_tenant() and state = 'active' and ${seenIn(tx, tx`dag_id`, dags)}
     group by repository, commit, path order by repository, path limit ${limit}`;
