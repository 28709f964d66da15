/** Every tenant with what it has and does, for who reads the platform. System role. */
import type { Tx } from "./open.ts";

export type TenantOverview = {
  readonly tenant: string;
  readonly display_name: string;
  readonly state: "active" | "suspended";
  readonly uid: number;
  readonly max_running: number;
  readonly weight: number;
  readonly limits: { readonly [name: string]: unknown };
  readonly egress: readonly { readonly host: string; readonly port: number }[];
  readonly allow_sources: readonly string[];
  readonly created_at: Date;
  /** Tries that run or have their place. */
  readonly running: number;
  readonly dags: number;
  readonly repositories: readonly {
    readonly repository: string;
    readonly url: string | null;
    readonly branch: string;
    readonly commit: string | null;
    readonly held: boolean;
    readonly problem: string | null;
  }[];
};

export const listTenantOverviews = (tx: Tx, limit: number): Promise<readonly TenantOverview[]> =>
  tx<TenantOverview[]>`
    select t.tenant, t.display_name, t.state, t.uid, t.max_running, t.weight, t.limits, t.egress,
           to_json(t.allow_sources) as allow_sources, t.created_at,
           (select count(*)::int from airlock.permit p where p.tenant = t.tenant) as running,
           (select count(*)::int from airlock.dag d where d.tenant = t.tenant and d.state = 'active') as dags,
           coalesce((select json_agg(json_build_object(
               'repository', r.repository, 'url', r.url, 'branch', r.branch, 'commit', r.head_commit,
               'held', r.held_commit is not null, 'problem', r.last_error) order by r.repository)
             from airlock.repository r where r.tenant = t.tenant), '[]') as repositories
      from airlock.tenant t order by t.tenant limit ${limit}`;
