/** Rights over several tenants in one statement: what each list of a person who sees many tenants filters by. */
import type { TenantId } from "../model/ids.ts";
import { type Fragment, type SeenIds, seenIn } from "./filters.ts";
import type { Tx } from "./open.ts";
import { textArray } from "./text-array.ts";

/** A tenant, and what the asker may see in it. */
export type Scope = {
  readonly tenant: TenantId;
  readonly dags: SeenIds;
  readonly runs: SeenIds;
  readonly code: SeenIds;
  readonly repositories: SeenIds;
  readonly pools: SeenIds;
  /** The tenant as a whole: its limit, and how full it is. */
  readonly wholeTenant: boolean;
};
type Kind = "dags" | "runs" | "code" | "repositories" | "pools";

/** Whoever sees all of a tenant costs one name in a list; a condition of its own is for those who see a part. */
export function seenAcross(
  tx: Tx,
  tenant: Fragment,
  id: Fragment,
  scopes: readonly Scope[],
  kind: Kind,
): Fragment {
  const whole = scopes.filter((scope) => seesAll(scope[kind])).map((scope) => scope.tenant);
  const parts = scopes.filter((scope) => !seesAll(scope[kind]) && !seesNothing(scope[kind]));
  return parts.reduce(
    (sum, scope) => tx`${sum} or (${tenant} = ${scope.tenant} and ${seenIn(tx, id, scope[kind])})`,
    tx`${tenant} = any(${textArray(whole)}::text[])`,
  );
}

export const seesAll = ({ allow, deny }: SeenIds): boolean =>
  allow.kind === "all" && deny.kind === "some" && deny.ids.length + deny.ranges.length === 0;
const seesNothing = ({ allow, deny }: SeenIds): boolean =>
  deny.kind === "all" || (allow.kind === "some" && allow.ids.length + allow.ranges.length === 0);

/** Rows of one column `tenant`. */
export const scopeRows = (tx: Tx, scopes: readonly Scope[]): Fragment =>
  tx`unnest(${textArray(scopes.map(({ tenant }) => tenant))}::text[]) as s(tenant)`;
