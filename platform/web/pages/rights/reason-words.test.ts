import { expect, test } from "vitest";
import { reasonWords, verdictWords } from "./reason-words.ts";

const deny = {
  effect: "deny",
  subject: "group:fin",
  thing: "dag:pay*",
  deed: "run.trigger",
  from: "tenant",
  via: ["user:a", "group:fin"],
} as const;

test("a verdict tells a denial from the lack of a right", () => {
  expect(verdictWords({ deed: "d", allowed: true, reasons: [] })).toBe("may");
  expect(verdictWords({ deed: "d", allowed: false, reasons: [] })).toBe("may not");
  expect(
    verdictWords({ deed: "d", allowed: false, reasons: [{ ...deny, via: [...deny.via] }] }),
  ).toBe("is denied");
  expect(verdictWords(undefined)).toBe("may not");
});

test("a reason says which rule, of whom, and how one comes to it", () => {
  expect(reasonWords({ ...deny, via: [...deny.via] })).toBe(
    "a rule of the tenant denies group:fin run.trigger on dag:pay*; by way of group:fin",
  );
  expect(
    reasonWords({
      effect: "allow",
      subject: "role:admin",
      thing: "*",
      deed: "b:admin",
      from: "built-in",
      via: ["user:a", "role:admin"],
    }),
  ).toBe("role:admin means b:admin on everything; by way of role:admin");
});
