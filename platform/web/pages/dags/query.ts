/**
 * The little language of the DAG list's box: `state:failed owner:me -tag:old late:>10m orders`. Words match id, name
 * and tags; `key:value` asks for a fact; all must hold; `-` turns one around; a comma in a value means "or"; quotes
 * keep blanks, and make a value exact.
 */

import type { IndexedDag } from "../../../api/ui/dag-index.ts";
import { unpackRuns } from "../../../model/run-strip.ts";
import type { RunState } from "../../../model/states.ts";

/** What a query is asked of: the index's row, with what is looked for again and again made once. */
export type DagFacts = {
  readonly dag: IndexedDag;
  readonly runs: ReturnType<typeof unpackRuns>;
  readonly lastState: RunState | "none";
  /** Lower case: id, name, tags. */
  readonly words: string;
};

export type Asking = {
  /** Name of the person. */
  readonly me: string;
  readonly nowMs: number;
  readonly favourites: ReadonlySet<string>;
};

export type Test = (facts: DagFacts, asking: Asking) => boolean;
export type DagQuery = {
  readonly test: Test;
  /** What could not be understood, a sentence each; it is left out of the question. */
  readonly problems: readonly string[];
};

export const lateAfterS = 60;
const textMax = 500;
const termsMax = 40;

export const factsOf = (dag: IndexedDag): DagFacts => {
  const runs = dag.runs === null ? [] : unpackRuns(dag.runs);
  return {
    dag,
    runs,
    lastState: runs[0]?.state ?? "none",
    words: [dag.dag_id, dag.display_name, ...dag.tags].join("\n").toLowerCase(),
  };
};

/** Seconds by which its next run is late; 0: it is not. */
export const lateSeconds = ({ dag }: DagFacts, nowMs: number): number =>
  dag.is_paused || dag.next_run_at === null
    ? 0
    : Math.max(0, (nowMs - Date.parse(dag.next_run_at)) / 1_000);

type Value = { readonly text: string; readonly isExact: boolean };
type Key = {
  readonly says: string;
  readonly hints: readonly string[];
  /** A string: why the value means nothing. */
  readonly read: (value: Value) => Test | string;
};

const states = ["failed", "success", "running", "queued", "none"] as const;

const yesNo =
  (name: string, holds: Test) =>
  ({ text }: Value): Test | string => {
    if (["yes", "true", "1"].includes(text)) return holds;
    if (["no", "false", "0"].includes(text)) return (facts, asking) => !holds(facts, asking);
    return `${name}: takes yes or no.`;
  };
const anyOf =
  (valuesOf: (facts: DagFacts) => readonly string[]) =>
  ({ text, isExact }: Value): Test =>
  (facts) =>
    valuesOf(facts).some((one) => {
      const value = one.toLowerCase();
      return isExact ? value === text : value.startsWith(text);
    });
const length =
  (name: string, secondsOf: (facts: DagFacts, nowMs: number) => number | null) =>
  ({ text }: Value): Test | string => {
    const [, sign, number, unit] = /^([<>]?)=?(\d{1,6}(?:\.\d{1,3})?)([smhd])$/.exec(text) ?? [];
    const size = unitSeconds[unit ?? ""];
    if (number === undefined || size === undefined)
      return `${name}: takes a length such as >10m, with s, m, h or d.`;
    const limit = Number(number) * size;
    return (facts, { nowMs }) => {
      const seconds = secondsOf(facts, nowMs);
      if (seconds === null) return false;
      return sign === "<" ? seconds < limit : seconds > limit;
    };
  };
const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

const isLate: Test = (facts, { nowMs }) => lateSeconds(facts, nowMs) > lateAfterS;

export const keys: Readonly<Record<string, Key>> = {
  state: {
    says: "how the last run is",
    hints: states,
    read: ({ text }) =>
      (states as readonly string[]).includes(text)
        ? (facts) => facts.lastState === text
        : `state: takes ${states.join(", ")}.`,
  },
  tag: { says: "has the tag", hints: [], read: anyOf(({ dag }) => dag.tags) },
  owner: {
    says: "is owned by, or by me",
    hints: ["me"],
    read: (value) => {
      const owned = anyOf(({ dag }) => dag.owners)(value);
      return value.text === "me"
        ? (facts, { me }) =>
            facts.dag.owners.some((owner) => owner.toLowerCase() === me.toLowerCase())
        : owned;
    },
  },
  late: {
    says: "its time has passed and there is no run",
    hints: ["yes", ">10m", ">1h"],
    read: (value) =>
      /^[<>\d]/.test(value.text)
        ? length("late", lateSeconds)(value)
        : yesNo("late", isLate)(value),
  },
  running: {
    says: "a run of it runs",
    hints: ["yes", "no"],
    read: yesNo("running", ({ dag }) => dag.running > 0),
  },
  queued: {
    says: "a run of it waits",
    hints: ["yes", "no"],
    read: yesNo("queued", ({ dag }) => dag.queued > 0),
  },
  paused: {
    says: "is paused",
    hints: ["yes", "no"],
    read: yesNo("paused", ({ dag }) => dag.is_paused),
  },
  error: {
    says: "its file cannot be read",
    hints: ["yes", "no"],
    read: yesNo("error", ({ dag }) => dag.has_import_error),
  },
  fav: {
    says: "is one of my favourites",
    hints: ["yes", "no"],
    read: yesNo("fav", ({ dag }, { favourites }) => favourites.has(dag.dag_id)),
  },
  lasts: {
    says: "how long its runs last, by half",
    hints: [">10m", ">1h", "<1m"],
    read: length("lasts", ({ dag }) => dag.median_s),
  },
  schedule: {
    says: "a word of its schedule",
    hints: ["hour", "day", "only"],
    read:
      ({ text }) =>
      ({ dag }) =>
        dag.schedule.toLowerCase().includes(text),
  },
  repo: {
    says: "comes from the repository",
    hints: [],
    read: anyOf(({ dag }) => [dag.repository]),
  },
};

export function readDagQuery(text: string): DagQuery {
  const problems: string[] = [];
  const tests: Test[] = [];
  const terms = splitTerms(text.slice(0, textMax));
  for (const term of terms.slice(0, termsMax)) {
    const test = readTerm(term);
    if (typeof test === "string") problems.push(test);
    else if (test !== undefined)
      tests.push(term.isNot ? (facts, asking) => !test(facts, asking) : test);
  }
  if (terms.length > termsMax) problems.push(`Only the first ${termsMax} words are looked at.`);
  return {
    test: (facts, asking) => tests.every((test) => test(facts, asking)),
    problems: [...new Set(problems)],
  };
}

function readTerm({ key, value, isExact }: Term): Test | string | undefined {
  const text = value.toLowerCase();
  if (key === undefined) return text === "" ? undefined : (facts) => facts.words.includes(text);
  const known = Object.hasOwn(keys, key) ? keys[key] : undefined;
  if (known === undefined)
    return `There is no “${key}:”. There is ${Object.keys(keys)
      .map((name) => `${name}:`)
      .join(" ")} – in quotes it is a word like others.`;
  // Still being typed: nothing is asked yet.
  if (text === "") return undefined;
  const tests: Test[] = [];
  for (const one of isExact ? [text] : text.split(",").filter((part) => part !== "")) {
    const test = known.read({ text: one, isExact });
    if (typeof test === "string") return test;
    tests.push(test);
  }
  return (facts, asking) => tests.some((test) => test(facts, asking));
}

type Term = {
  readonly isNot: boolean;
  readonly key: string | undefined;
  readonly value: string;
  readonly isExact: boolean;
  readonly from: number;
  readonly to: number;
};

/** A quote that is not closed reaches to the end: it is being typed. */
export function splitTerms(text: string): readonly Term[] {
  const pattern = /(-?)(?:([a-z_]+):)?(?:"([^"]*)"?|([^\s"]+))?/giy;
  const terms: Term[] = [];
  let at = 0;
  while (at < text.length) {
    if (/\s/.test(text[at] ?? "")) {
      at += 1;
      continue;
    }
    pattern.lastIndex = at;
    const [whole = "", not = "", key, quoted, plain] = pattern.exec(text) ?? [];
    const to = at + Math.max(1, whole.length);
    terms.push({
      isNot: not === "-",
      key: key?.toLowerCase(),
      value: quoted ?? plain ?? "",
      isExact: quoted !== undefined,
      from: at,
      to,
    });
    at = to;
  }
  return terms;
}

export type Hint = {
  /** What the whole text becomes, and where the caret goes. */
  readonly text: string;
  readonly caret: number;
  /** The word is complete with it. */
  readonly isWhole: boolean;
  readonly shown: string;
  readonly says: string;
};
const hintsMax = 12;

/** What may stand where the caret is: keys, or values of the key. */
export function hintsAt(
  text: string,
  caret: number,
  known: {
    readonly tags: readonly string[];
    readonly owners: readonly string[];
    readonly repositories: readonly string[];
  },
): readonly Hint[] {
  const term = splitTerms(text).find(({ from, to }) => from < caret && caret <= to);
  const not = term?.isNot === true ? "-" : "";
  const from = term?.from ?? caret;
  const to = term?.to ?? caret;
  const hint = (shown: string, says: string, isWhole: boolean): Hint => {
    const inserted = `${not}${shown}${isWhole ? " " : ""}`;
    const rest = isWhole ? text.slice(to).trimStart() : text.slice(to);
    return {
      text: `${text.slice(0, from)}${inserted}${rest}`,
      caret: from + inserted.length,
      isWhole,
      shown: `${not}${shown}`,
      says,
    };
  };
  if (term?.isExact === true && term.key === undefined) return [];
  if (term?.key === undefined) {
    const begun = (term?.value ?? "").toLowerCase();
    return Object.entries(keys)
      .filter(([name]) => name.startsWith(begun))
      .map(([name, { says }]) => hint(`${name}:`, says, false));
  }
  const key = Object.hasOwn(keys, term.key) ? keys[term.key] : undefined;
  if (key === undefined) return [];
  const own: Readonly<Record<string, readonly string[]>> = {
    tag: known.tags,
    owner: known.owners,
    repo: known.repositories,
  };
  const begun = term.value.toLowerCase();
  return [...key.hints, ...(own[term.key] ?? [])]
    .filter((value) => value.toLowerCase().startsWith(begun) && value.toLowerCase() !== begun)
    .slice(0, hintsMax)
    .map((value) => hint(`${term.key ?? ""}:${quotedIfNeeded(value)}`, key.says, true));
}

/** A value as it must be written to mean itself. */
export const quotedIfNeeded = (value: string): string =>
  /[\s,"]/.test(value) ? `"${value.replaceAll('"', "")}"` : value;
