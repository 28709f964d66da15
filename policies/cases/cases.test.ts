import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Deed } from "../../platform/model/access.ts";
import { known } from "../../platform/model/ids.ts";
import {
  type Assignment,
  compileRights,
  type Domain,
  type Rule,
  type RuleSet,
} from "../authz/authorizer.ts";

const lines = readFileSync(join(import.meta.dirname, "built-in.txt"), "utf8")
  .split("\n")
  .filter((line) => line.trim() !== "" && !line.startsWith("#"))
  .map((line) => line.trim().split(/\s+/));

const rulesOf = (domain: string): readonly Rule[] =>
  lines
    .filter(([word, , dom]) => word === "rule" && dom === domain)
    .map(([, subject = "", , thing = "", deed = "", effect]) => ({
      subject,
      thing,
      deed,
      effect: effect === "deny" ? "deny" : "allow",
    }));
const assignmentsOf = (domain: string): readonly Assignment[] =>
  lines
    .filter(([word, , , dom]) => word === "role" && dom === domain)
    .map(([, subject = "", role = ""]) => ({ subject, role }));
const setOf = (domain: string): RuleSet => ({
  version: "1",
  tenant: { rules: rulesOf(domain), assignments: assignmentsOf(domain) },
  platform: { rules: rulesOf("*"), assignments: assignmentsOf("*") },
});

const cases = lines.filter(([word]) => word !== "rule" && word !== "role");

test("there are cases", () => expect(cases.length).toBeGreaterThan(45));
test.each(cases.map((words) => [words.slice(0, 4).join(" "), words] as const))(
  "%s",
  async (_, [subject = "", tenant = "", deed = "", thing = "", arrow, answer, ...why]) => {
    expect(arrow).toBe("->");
    expect(["yes", "no"]).toContain(answer);
    const domain: Domain = tenant === "*" ? "*" : known.tenant(tenant);
    const rights = await compileRights(domain, setOf(tenant));
    const asker = { subject, name: subject, groups: [] };
    // The reason stands on both sides, so that a failure tells it.
    const said = rights.can(asker, deed as Deed, thing) ? "yes" : "no";
    expect(`${said}: ${why.join(" ")}`).toBe(`${answer ?? ""}: ${why.join(" ")}`);
  },
);
