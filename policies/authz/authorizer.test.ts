import fc from "fast-check";
import { expect, test } from "vitest";
import type { Deed } from "../../platform/model/access.ts";
import { known } from "../../platform/model/ids.ts";
import {
  type Asker,
  compileRights,
  type Domain,
  openAuthorizer,
  openEnforcer,
  type Rule,
  type RuleSet,
} from "./authorizer.ts";
import { readAssignment, readRule } from "./read-rule.ts";
import { isSeen } from "./seen-by.ts";

const t1 = known.tenant("t1");
const ann: Asker = { subject: "user:a", name: "a", groups: [] };
const none = { rules: [], assignments: [] };
const viewers: RuleSet = {
  version: "1",
  tenant: { rules: [], assignments: [{ subject: "user:a", role: "role:viewer" }] },
  platform: none,
};

test("the compiled answer, the list condition and casbin's own enforceSync never differ", async () => {
  const subject = fc.constantFrom("user:a", "user:b", "group:g", "role:viewer", "role:custom");
  const rule: fc.Arbitrary<Rule> = fc.record({
    subject,
    thing: fc.constantFrom("dag:a", "dag:b", "dag:a*", "dag:a_*", "dag:*", "conn:c", "*", "d*"),
    deed: fc.constantFrom("dag.read", "run.trigger", "b:viewer", "b:user", "*", "conn.write"),
    effect: fc.constantFrom("allow", "allow", "allow", "deny"),
  });
  const assignment = fc.record({
    subject: fc.constantFrom("user:a", "user:b", "group:g"),
    role: fc.constantFrom("group:g", "role:viewer", "role:user", "role:custom"),
  });
  const side = fc.record({
    rules: fc.array(rule, { maxLength: 8 }),
    assignments: fc.array(assignment, { maxLength: 4 }),
  });
  let allowed = 0;
  let checks = 0;
  await fc.assert(
    fc.asyncProperty(side, side, fc.boolean(), async (tenant, platform, inGroup) => {
      const set: RuleSet = { version: "1", tenant, platform };
      const rights = await compileRights(t1, set);
      // Groups that come with the person are, for casbin, links in every domain.
      const enforcer = await openEnforcer(t1, set);
      if (inGroup)
        for (const dom of ["t1", "*"]) await enforcer.addGroupingPolicy("user:a", "group:g", dom);
      for (const who of ["user:a", "user:b"]) {
        const groups = inGroup && who === "user:a" ? ["group:g"] : [];
        const asker = { subject: who, name: who, groups };
        for (const deed of ["dag.read", "run.trigger", "conn.write"] as const) {
          for (const id of ["a", "b", "ab", "a_x", "c", "b`"]) {
            const truth = enforcer.enforceSync(who, "t1", `dag:${id}`, deed);
            checks++;
            if (truth) allowed++;
            expect(rights.can(asker, deed, `dag:${id}`)).toBe(truth);
            expect(isSeen(rights.seen(asker, deed, "dag"), id)).toBe(truth);
          }
          const conn = enforcer.enforceSync(who, "t1", "conn:c", deed);
          expect(rights.can(asker, deed, "conn:c")).toBe(conn);
          expect(isSeen(rights.seen(asker, deed, "conn"), "c")).toBe(conn);
        }
      }
    }),
    { numRuns: 60 },
  );
  // A fuzz that only ever sees one answer proves nothing.
  expect(allowed).toBeGreaterThan(checks / 50);
  expect(allowed).toBeLessThan((checks * 49) / 50);
});

test("a revoked role ends within the trust time, a forgotten tenant at once", async () => {
  let set = viewers;
  let now = 0;
  let loads = 0;
  const authorizer = openAuthorizer(
    {
      versionOf: async () => set.version,
      load: async () => {
        loads++;
        return set;
      },
    },
    { trustMs: 500, nowMs: () => now },
  );
  const reads = (): Promise<boolean> => authorizer.can(ann, "dag.read", t1, "dag:x");
  expect(await reads()).toBe(true);
  set = { version: "2", tenant: none, platform: none };
  now = 499;
  expect(await reads()).toBe(true);
  now = 501;
  expect(await reads()).toBe(false);
  set = { ...viewers, version: "3" };
  expect(await reads()).toBe(false);
  authorizer.forget(t1);
  expect(await reads()).toBe(true);
  now = 2_000;
  expect(await reads()).toBe(true);
  expect(loads).toBe(3);
});

test("a load that began before a change is not handed to who asks after it", async () => {
  const gate = Promise.withResolvers<undefined>();
  let first = true;
  const authorizer = openAuthorizer({
    versionOf: async () => "1",
    load: async () => {
      if (!first) return { version: "2", tenant: none, platform: none };
      first = false;
      await gate.promise;
      return viewers;
    },
  });
  const before = authorizer.can(ann, "dag.read", t1, "dag:x");
  authorizer.forget(t1);
  expect(await authorizer.can(ann, "dag.read", t1, "dag:x")).toBe(false);
  gate.resolve(undefined);
  await before;
});

test("more tenants than the cache holds only cost a reload", async () => {
  const loaded: Domain[] = [];
  const authorizer = openAuthorizer(
    {
      versionOf: async () => "1",
      load: async (domain) => {
        loaded.push(domain);
        return viewers;
      },
    },
    { tenantsMax: 2, nowMs: () => 0 },
  );
  for (const name of ["t1", "t2", "t1", "t3", "t1", "t2"])
    expect(await authorizer.can(ann, "dag.read", known.tenant(name), "dag:x")).toBe(true);
  expect(loaded).toEqual(["t1", "t2", "t3", "t2"]);
});

test("a token narrows its owner and never widens", async () => {
  const rights = await compileRights(t1, viewers);
  expect(rights.can({ ...ann, scopes: ["dag.read"] }, "dag.read", "dag:x")).toBe(true);
  expect(rights.can({ ...ann, scopes: ["dag.read"] }, "log.read", "dag:x")).toBe(false);
  expect(rights.can({ ...ann, scopes: ["b:viewer"] }, "log.read", "dag:x")).toBe(true);
  expect(rights.can({ ...ann, scopes: [] }, "dag.read", "dag:x")).toBe(false);
  expect(rights.can({ ...ann, scopes: ["b:admin"] }, "run.trigger", "dag:x")).toBe(false);
  expect(rights.can({ ...ann, onlyTenant: known.tenant("t2") }, "dag.read", "dag:x")).toBe(false);
  expect(rights.can({ ...ann, onlyTenant: t1 }, "dag.read", "dag:x")).toBe(true);
});

test("a bundle granted on one DAG is something to do with DAGs, and with nothing else", async () => {
  const rights = await compileRights(t1, {
    version: "1",
    tenant: {
      rules: [{ subject: "user:a", thing: "dag:fin_*", deed: "b:op", effect: "allow" }],
      assignments: [],
    },
    platform: none,
  });
  expect(rights.canAnywhere(ann, "run.trigger")).toBe(true);
  for (const deed of ["pool.read", "conn.read", "tenant.read", "grant.write", "repo.push"] as const)
    expect([deed, rights.canAnywhere(ann, deed)]).toEqual([deed, false]);
});

test("rules that casbin could misread are refused with the field named", () => {
  const fields = (raw: object): string => {
    const read = readRule({ subject: "user:a", thing: "dag:x", deed: "dag.read", ...raw });
    return read.ok ? "taken" : read.problem.field;
  };
  expect(fields({})).toBe("taken");
  expect(fields({ thing: "dag:fin_*" })).toBe("taken");
  expect(fields({ thing: "*", deed: "b:op", effect: "deny" })).toBe("taken");
  expect(fields({ subject: "user:a, role:admin" })).toBe("subject");
  expect(fields({ subject: "user:a\np, user:b, *, *, *, allow" })).toBe("subject");
  expect(fields({ subject: "*" })).toBe("subject");
  expect(fields({ subject: ["user:a"] })).toBe("subject");
  expect(fields({ thing: "dag:a*b" })).toBe("thing");
  expect(fields({ thing: "dag:a/../b" })).toBe("thing");
  expect(fields({ thing: "d*" })).toBe("thing");
  expect(fields({ thing: "dag:" })).toBe("thing");
  expect(fields({ deed: "b:god" })).toBe("deed");
  expect(fields({ deed: "constructor" })).toBe("deed");
  expect(fields({ effect: "maybe" })).toBe("effect");
  expect(readAssignment({ subject: "user:a", role: "admin" })).toMatchObject({
    value: { role: "role:admin" },
  });
  expect(readAssignment({ subject: "user:a", role: "group:fin" })).toMatchObject({
    value: { role: "group:fin" },
  });
  expect(readAssignment({ subject: "user:a", role: "admin, *" }).ok).toBe(false);
  expect(readAssignment({ subject: "user:b", role: "user:a" }).ok).toBe(false);
});

test("no deed of the model is missing in the built-in bundles", async () => {
  const root: RuleSet = {
    version: "1",
    tenant: none,
    platform: { rules: [], assignments: [{ subject: "user:a", role: "role:admin" }] },
  };
  // Complete by type: a new deed makes this object a compile error.
  const deeds: Record<Deed, true> = {
    "dag.read": true,
    "dag.pause": true,
    "dag.delete": true,
    "run.read": true,
    "run.trigger": true,
    "run.clear": true,
    "run.delete": true,
    "task.mark": true,
    "log.read": true,
    "xcom.read": true,
    "xcom.write": true,
    "code.read": true,
    "conn.read": true,
    "conn.write": true,
    "var.read": true,
    "var.write": true,
    "pool.read": true,
    "pool.write": true,
    "repo.read": true,
    "repo.write": true,
    "repo.push": true,
    "audit.read": true,
    "grant.read": true,
    "grant.write": true,
    "tenant.read": true,
    "tenant.write": true,
    "platform.read": true,
    "platform.write": true,
  };
  for (const deed of Object.keys(deeds) as Deed[]) {
    const domain: Domain = deed.startsWith("platform.") ? "*" : t1;
    const allowed = (await compileRights(domain, root)).can(ann, deed, "*");
    expect([deed, allowed]).toEqual([deed, true]);
  }
});
