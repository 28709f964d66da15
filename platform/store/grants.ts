/** Rights as rows: what `policies/authz` compiles. Domain `*` is the platform; its rows are the system's alone. */
import type { TenantId } from "../model/ids.ts";
import type { Tx } from "./open.ts";

export type RuleRow = {
  readonly subject: string;
  readonly thing: string;
  readonly deed: string;
  readonly effect: "allow" | "deny";
};
export type AssignmentRow = { readonly subject: string; readonly role: string };
type Domain = TenantId | "*";

/** Rises with every change of a rule that counts in `domain`. System transaction. */
export async function policyVersion(tx: Tx, domain: Domain): Promise<string> {
  const [row] = await tx<{ version: string }[]>`
    select p.version || '.' || coalesce((select t.policy_version from airlock.tenant t where t.tenant = ${domain}), 0) as version
      from airlock.platform_policy p`;
  return row?.version ?? "0";
}

/** The rules of a domain and the platform's, with the version they had. System transaction. */
export async function loadRules(
  tx: Tx,
  domain: Domain,
): Promise<{
  version: string;
  tenant: { rules: RuleRow[]; assignments: AssignmentRow[] };
  platform: { rules: RuleRow[]; assignments: AssignmentRow[] };
}> {
  // The version first: a change between the statements makes the rules newer than their version, never older.
  const version = await policyVersion(tx, domain);
  const [rules, assignments] = await Promise.all([
    tx<(RuleRow & { tenant: string })[]>`
      select tenant, subject, thing, deed, effect from airlock.grant_rule where tenant in (${domain}, '*')`,
    tx<(AssignmentRow & { tenant: string })[]>`
      select tenant, subject, role from airlock.role_assignment where tenant in (${domain}, '*')`,
  ]);
  const inDomain = (own: boolean): { rules: RuleRow[]; assignments: AssignmentRow[] } => ({
    rules: rules.filter((row) => (row.tenant === "*") !== own),
    assignments: assignments.filter((row) => (row.tenant === "*") !== own),
  });
  return { version, tenant: inDomain(true), platform: inDomain(false) };
}

export const listRules = async (tx: Tx, domain: Domain): Promise<readonly RuleRow[]> =>
  tx<RuleRow[]>`
    select subject, thing, deed, effect from airlock.grant_rule where tenant = ${domain}
     order by subject, thing, deed, effect`;

export const listAssignments = async (tx: Tx, domain: Domain): Promise<readonly AssignmentRow[]> =>
  tx<AssignmentRow[]>`
    select subject, role from airlock.role_assignment where tenant = ${domain} order by subject, role`;

/** false: the rule was there. */
export async function addRule(tx: Tx, domain: Domain, rule: RuleRow): Promise<boolean> {
  const added = await tx`
    insert into airlock.grant_rule (tenant, subject, thing, deed, effect)
    values (${domain}, ${rule.subject}, ${rule.thing}, ${rule.deed}, ${rule.effect})
    on conflict do nothing returning subject`;
  return added.length > 0;
}

export async function removeRule(tx: Tx, domain: Domain, rule: RuleRow): Promise<boolean> {
  const removed = await tx`
    delete from airlock.grant_rule
     where tenant = ${domain} and subject = ${rule.subject} and thing = ${rule.thing}
       and deed = ${rule.deed} and effect = ${rule.effect} returning subject`;
  return removed.length > 0;
}

export async function addAssignment(
  tx: Tx,
  domain: Domain,
  { subject, role }: AssignmentRow,
): Promise<boolean> {
  const added = await tx`
    insert into airlock.role_assignment (tenant, subject, role) values (${domain}, ${subject}, ${role})
    on conflict do nothing returning subject`;
  return added.length > 0;
}

export async function removeAssignment(
  tx: Tx,
  domain: Domain,
  { subject, role }: AssignmentRow,
): Promise<boolean> {
  const removed = await tx`
    delete from airlock.role_assignment
     where tenant = ${domain} and subject = ${subject} and role = ${role} returning subject`;
  return removed.length > 0;
}

/** Tenants in which any of these subjects has a role or a rule: what `tenants list` looks at for people who are no admins. */
export async function tenantsOf(tx: Tx, subjects: readonly string[]): Promise<readonly string[]> {
  const rows = await tx<{ tenant: string }[]>`
    select distinct tenant from (
      select tenant, subject from airlock.role_assignment
      union all select tenant, subject from airlock.grant_rule) r
     where subject in ${tx([...subjects])} order by tenant`;
  return rows.map((row) => row.tenant);
}

/** Tenants in which something is denied to somebody: everywhere else, who may all on the platform may all. System transaction. */
export async function tenantsWithDenials(tx: Tx): Promise<readonly string[]> {
  const rows = await tx<{ tenant: string }[]>`
    select distinct tenant from airlock.grant_rule where effect = 'deny' and tenant <> '*'`;
  return rows.map((row) => row.tenant);
}
