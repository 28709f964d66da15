/** Who may do what on the stage, worked out a second time from the roles alone: slow, short, and without casbin. */
import type { Deed } from "../../platform/model/access.ts";
import { actionBundles } from "../../policies/rules/built-in.ts";
import type { PersonName } from "../kit/api-stage.ts";

type Given = {
  readonly domain: string;
  /** Exact, a prefix with `*`, or `*`. */
  readonly thing: string;
  readonly bundle: string;
};

/** As `test/kit/api-stage.ts` seeds them. */
const given: Readonly<Record<PersonName, readonly Given[]>> = {
  root: [{ domain: "any", thing: "*", bundle: "b:admin" }],
  ann: [{ domain: "acme", thing: "*", bundle: "b:viewer" }],
  bob: [{ domain: "acme", thing: "*", bundle: "b:user" }],
  cat: [{ domain: "acme", thing: "*", bundle: "b:op" }],
  dan: [{ domain: "acme", thing: "*", bundle: "b:admin" }],
  eve: [
    { domain: "acme", thing: "dag:payroll", bundle: "b:user" },
    { domain: "acme", thing: "dag:fin_*", bundle: "b:viewer" },
  ],
  gil: [{ domain: "globex", thing: "*", bundle: "b:admin" }],
  nob: [],
};

const holds = (bundle: string, deed: Deed): boolean =>
  actionBundles.some(
    ([part, of]) =>
      of === bundle && (part === deed || (part.startsWith("b:") && holds(part, deed))),
  );

const counts = (one: Given, domain: string, deed: Deed): boolean =>
  (one.domain === "any" || one.domain === domain) &&
  (domain === "*" || !deed.startsWith("platform.")) &&
  holds(one.bundle, deed);

const covers = (given: string, thing: string): boolean =>
  given === "*" || given === thing || (given.endsWith("*") && thing.startsWith(given.slice(0, -1)));

export const may = (who: PersonName, domain: string, deed: Deed, thing: string): boolean =>
  given[who].some((one) => counts(one, domain, deed) && covers(one.thing, thing));

/** On at least one thing of the kind, whether or not there is any. */
export const mayAnywhere = (who: PersonName, domain: string, deed: Deed, kind: string): boolean =>
  given[who].some(
    (one) => counts(one, domain, deed) && (one.thing === "*" || one.thing.startsWith(`${kind}:`)),
  );

/** Has this person anything to do in the tenant? */
export const knows = (who: PersonName, domain: string): boolean =>
  given[who].some((one) => one.domain === "any" || one.domain === domain);
