import { expect, test } from "vitest";
import { checkPassword, hashPassword, passwordProblem } from "./passwords.ts";

const odd = "pässwörd ☂";

test("a password is right exactly as typed, emoji and blanks included", async () => {
  const stored = await hashPassword(` ${odd} `);
  expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  expect(await checkPassword(stored, ` ${odd} `)).toEqual({ right: true });
  expect(await checkPassword(stored, odd)).toEqual({ right: false });
});

// Made with Python's hashlib in Werkzeug's format.
test.each([
  "pbkdf2:sha256:1000$abcdefgh12345678$afd0aca13e99b1495a53687aa1f45e7655fa54b0d1f4055b02b5ab2855ed5043",
  "scrypt:32768:8:1$abcdefgh12345678$8590fe2e35a74ab0dc285e1e8d155687250a7ae0b10d79828936f2298ea299611f9988d4b6707bd3e7b56dcf17cfa39cb2fabaa691adfb77657b9e6158e9317b",
])("a migrated Airflow hash verifies and comes back as argon2id: %s", async (stored) => {
  const verdict = await checkPassword(stored, odd);
  expect(verdict.right && verdict.better).toMatch(/^\$argon2id\$/);
  expect(verdict.right && (await checkPassword(verdict.better, odd))).toEqual({ right: true });
  expect(await checkPassword(stored, `${odd}x`)).toEqual({ right: false });
});

test.each([
  "",
  "plain",
  "pbkdf2:sha256:99999999999$salt$00112233445566778899aabbccddeeff",
  "pbkdf2:md5:1000$salt$00112233445566778899aabbccddeeff",
  "scrypt:1073741824:8:1$salt$00112233445566778899aabbccddeeff",
  "scrypt:3:8:1$salt$00112233445566778899aabbccddeeff",
  "scrypt:0:0:0$salt$00112233445566778899aabbccddeeff",
  "pbkdf2:sha256:1$$00112233445566778899aabbccddeeff",
  "pbkdf2:sha256:1$salt$zz",
])("a stored hash that is none opens nothing and costs nothing: %j", async (stored) => {
  expect(await checkPassword(stored, odd)).toEqual({ right: false });
});

test("a name that does not exist is wrong like a wrong password", async () => {
  expect(await checkPassword(undefined, odd)).toEqual({ right: false });
});

test("a password over a kibibyte or under eight characters is refused with the rule", () => {
  expect(passwordProblem("x".repeat(1_025))).toContain("1024");
  expect(passwordProblem("x".repeat(1_024))).toBeUndefined();
  expect(passwordProblem("short")).toContain("8");
});
