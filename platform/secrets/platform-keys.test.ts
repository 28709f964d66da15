import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { openPlatformKeys, readPlatformKeys } from "./platform-keys.ts";

const home = mkdtempSync(join(tmpdir(), "airlock-keys-"));
afterEach(() => rmSync(home, { recursive: true, force: true }));
const key = (): string => randomBytes(32).toString("base64");

test("the first start makes a key that only its owner may read, the second finds it again", () => {
  const first = openPlatformKeys(undefined, home);
  const second = openPlatformKeys("", home);
  expect(first.ok).toBe(true);
  expect(second).toEqual(first);
  expect(statSync(join(home, "secret.key")).mode & 0o777).toBe(0o600);
  expect(readFileSync(join(home, "secret.key"), "utf8")).toMatch(/^[A-Za-z0-9+/]{43}=\n$/);
});

test("the environment's keys come before the file, in their order", () => {
  const [a, b] = [key(), key()];
  const keys = openPlatformKeys(`${a}, ${b}`, home);
  expect(keys.ok && keys.value.map((k) => k.bytes.toString("base64"))).toEqual([a, b]);
});

test.each([
  ["too short", randomBytes(31).toString("base64")],
  ["too long", randomBytes(33).toString("base64")],
  ["no base64", "!".repeat(44)],
  ["a typing error inside", `${key().slice(0, 20)} ${key().slice(21)}`],
  ["an empty second", `${key()},`],
])("a key that is %s is refused by name, never used half", (_, text) => {
  const keys = readPlatformKeys(text, "AIRLOCK_SECRET_KEY");
  expect(keys.ok).toBe(false);
  expect(!keys.ok && keys.problem.message).toContain("AIRLOCK_SECRET_KEY");
  expect(!keys.ok && keys.problem.message).not.toContain(text);
});
