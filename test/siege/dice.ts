/** Seeded dice, and what they do to good input: the same seed and case always throw the same. */
import type { Json } from "../../platform/model/json.ts";

export type Dice = {
  /** 0 … below − 1. */
  under(below: number): number;
  chance(of: number): boolean;
  pick<T>(from: readonly T[]): T;
};

/** mulberry32: short, fast, and good enough to break things with. */
export function diceOf(seed: number, at: number): Dice {
  let state = (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(at + 1, 0x85ebca6b)) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
  const dice: Dice = {
    under: (below) => Math.floor(next() * below),
    chance: (of) => next() < of,
    pick(from) {
      const found = from[dice.under(from.length)];
      if (found === undefined && from.length === 0) throw new Error("nothing to pick from");
      return found as (typeof from)[number];
    },
  };
  return dice;
}

/** What readers trip over. */
export const nastyTexts: readonly string[] = [
  "",
  " ",
  "\0",
  "a\0b",
  "\n",
  "\r\n\r\n",
  "..",
  "../../../etc/passwd",
  "/etc/passwd",
  "%2e%2e%2f",
  "~",
  "*",
  ".*",
  "-rf",
  "--help",
  "'",
  '"',
  "`id`",
  "$(id)",
  "'; drop table airlock.tenant; --",
  "{{ 7*7 }}",
  "{{ ''.__class__.__mro__ }}",
  "${process.exit(1)}",
  "<img src=x onerror=alert(1)>",
  "javascript:alert(1)",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "null",
  "undefined",
  "NaN",
  "true",
  "1e400",
  "-0",
  "9007199254740993",
  "99999999999999999999999999",
  "\ud800",
  "\udfff\ud800",
  "\ufeff",
  "\u202e",
  "\u2028",
  "ﬁ",
  "İ",
  "😀".repeat(40),
  "a".repeat(251),
  "x".repeat(5_000),
  "(a+)+$",
  "((((((((((((((((((((a?)*)*)*)*)*)*)*)*",
  "[[:alpha:]",
  "\\",
  "%",
  "_",
  "2026-02-30T25:61:61Z",
  "+275760-09-13T00:00:00.001Z",
  "-271821-04-20T00:00:00Z",
  "0000-00-00",
  "!!python/object/apply:os.system [id]",
  "&a [*a]",
  "|",
  "{",
  "[",
];

export const nastyNumbers: readonly number[] = [
  0,
  -0,
  1,
  -1,
  0.5,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 32,
  2 ** 53,
  -(2 ** 53),
  1e21,
  1e308,
  -1e308,
  5e-324,
];

/** A JSON value of any shape, at most so deep. */
export function anyJson(dice: Dice, depth = 3): Json {
  switch (dice.under(depth > 0 ? 8 : 5)) {
    case 0:
      return null;
    case 1:
      return dice.chance(0.5);
    case 2:
      return dice.pick(nastyNumbers);
    case 3:
    case 4:
      return dice.pick(nastyTexts);
    case 5:
    case 6:
      return Array.from({ length: dice.under(4) }, () => anyJson(dice, depth - 1));
    default:
      return Object.fromEntries(
        Array.from({ length: dice.under(4) }, () => [
          dice.pick(nastyTexts),
          anyJson(dice, depth - 1),
        ]),
      );
  }
}

/** The same value with some of its places changed, removed, doubled or grown. */
export function mutateJson(dice: Dice, value: Json, often = 0.08): Json {
  if (dice.chance(often)) {
    if (dice.chance(0.1)) return nested(dice, value);
    return anyJson(dice, 2);
  }
  if (Array.isArray(value)) {
    const items = (value as readonly Json[]).flatMap((item): Json[] => {
      if (dice.chance(often / 2)) return [];
      const changed = mutateJson(dice, item, often);
      return dice.chance(often / 2) ? [changed, changed] : [changed];
    });
    return items;
  }
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, inner]): [string, Json][] => {
        if (dice.chance(often / 2)) return [];
        const name = dice.chance(often / 4) ? dice.pick(nastyTexts) : key;
        return [[name, mutateJson(dice, inner as Json, often)]];
      }),
    );
  return value;
}

function nested(dice: Dice, value: Json): Json {
  let deep: Json = value;
  for (let depth = dice.under(300); depth > 0; depth--)
    deep = dice.chance(0.5) ? [deep] : { a: deep };
  return deep;
}

export function mutateText(dice: Dice, text: string): string {
  let changed = text;
  for (let times = 1 + dice.under(6); times > 0; times--) {
    const at = dice.under(changed.length + 1);
    const to = Math.min(changed.length, at + dice.under(20));
    switch (dice.under(6)) {
      case 0:
        changed = changed.slice(0, at) + changed.slice(to);
        break;
      case 1:
        changed = changed.slice(0, at) + dice.pick(nastyTexts) + changed.slice(at);
        break;
      case 2:
        changed = changed.slice(0, at) + dice.pick(nastyTexts) + changed.slice(to);
        break;
      case 3:
        changed =
          changed.slice(0, at) +
          changed.slice(at, to).repeat(1 + dice.under(30)) +
          changed.slice(to);
        break;
      case 4:
        changed =
          changed.slice(0, at) +
          String.fromCharCode(dice.under(dice.chance(0.8) ? 128 : 65_536)) +
          changed.slice(at);
        break;
      default:
        changed = changed.slice(0, at);
    }
  }
  return changed;
}

export function mutateBytes(dice: Dice, bytes: Buffer): Buffer {
  let changed = Buffer.from(bytes);
  for (let times = 1 + dice.under(8); times > 0; times--) {
    const at = dice.under(changed.length + 1);
    switch (dice.under(5)) {
      case 0:
        if (at < changed.length) changed[at] = dice.under(256);
        break;
      case 1:
        if (at < changed.length) changed[at] = (changed[at] ?? 0) ^ (1 << dice.under(8));
        break;
      case 2:
        changed = changed.subarray(0, at);
        break;
      case 3:
        changed = Buffer.concat([
          changed.subarray(0, at),
          Buffer.from(
            dice.pick([
              [0xff, 0xff, 0xff, 0xff],
              [0xdd, 0x7f, 0xff, 0xff, 0xff],
              [0xdf, 0xff, 0xff, 0xff, 0xff],
              [0xc6, 0x7f, 0xff, 0xff, 0xff],
              [0],
              [0x91],
              [0x81, 0xa1, 0x61],
            ]),
          ),
          changed.subarray(at),
        ]);
        break;
      default:
        changed = Buffer.concat([changed.subarray(0, at), changed.subarray(0, dice.under(40))]);
    }
  }
  return changed;
}
