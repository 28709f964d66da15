import fc from "fast-check";
import { expect, test } from "vitest";
import { known } from "../../platform/model/ids.ts";
import { compileRights, type Rule, type RuleSet } from "./authorizer.ts";
import { explain } from "./explain.ts";

const t1 = known.tenant("t1");

test("the reasons agree with the verdict, whatever the rules", async () => {
  const rule: fc.Arbitrary<Rule> = fc.record({
    subject: fc.constantFrom("user:a", "user:b", "group:g", "role:viewer", "role:custom"),
    thing: fc.constantFrom("dag:a", "dag:b", "dag:a*", "dag:*", "*"),
    deed: fc.constantFrom("dag.read", "run.trigger", "b:viewer", "b:user", "*"),
    effect: fc.constantFrom("allow", "allow", "deny"),
  });
  const assignment = fc.record({
    subject: fc.constantFrom("user:a", "user:b", "group:g"),
    role: fc.constantFrom("group:g", "role:viewer", "role:user", "role:custom"),
  });
  const side = fc.record({
    rules: fc.array(rule, { maxLength: 6 }),
    assignments: fc.array(assignment, { maxLength: 4 }),
  });
  const verdicts = new Set<boolean>();
  await fc.assert(
    fc.asyncProperty(side, side, async (tenant, platform) => {
      const set: RuleSet = { version: "1", tenant, platform };
      const rights = await compileRights(t1, set);
      for (const subject of ["user:a", "user:b"])
        for (const deed of ["dag.read", "run.trigger", "dag.pause"] as const)
          for (const thing of ["dag:a", "dag:ab", "dag:b"]) {
            const reasons = explain(set, t1, { subject, deed, thing });
            const verdict = reasons.length > 0 && reasons[0]?.effect === "allow";
            verdicts.add(verdict);
            expect(verdict).toBe(rights.can({ subject, name: "", groups: [] }, deed, thing));
          }
    }),
    { numRuns: 60 },
  );
  expect(verdicts.size).toBe(2);
});

test("a reason names the rule, where it stands and the way to it", () => {
  const set: RuleSet = {
    version: "1",
    tenant: {
      rules: [{ subject: "group:fin", thing: "dag:pay*", deed: "run.trigger", effect: "deny" }],
      assignments: [
        { subject: "user:a", role: "group:fin" },
        { subject: "group:fin", role: "role:user" },
      ],
    },
    platform: { rules: [], assignments: [] },
  };
  expect(
    explain(set, t1, { subject: "user:a", deed: "run.trigger", thing: "dag:payroll" }),
  ).toEqual([
    {
      effect: "deny",
      subject: "group:fin",
      thing: "dag:pay*",
      deed: "run.trigger",
      from: "tenant",
      via: ["user:a", "group:fin"],
    },
    {
      effect: "allow",
      subject: "role:user",
      thing: "*",
      deed: "b:user",
      from: "built-in",
      via: ["user:a", "group:fin", "role:user"],
    },
  ]);
});
