import { execFileSync } from "node:child_process";
import { afterEach, expect, test } from "vitest";
import { takeSecrets } from "./take-secrets.ts";

const names = ["AIRLOCK_ADMIN_PASSWORD", "AIRLOCK_SECRET_KEY", "DATABASE_URL"] as const;
const before = new Map(names.map((name) => [name, process.env[name]]));
afterEach(() => {
  for (const [name, value] of before)
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
});

test("a program that is started later does not inherit the house's secrets", () => {
  for (const name of names) process.env[name] = "secret-of-the-house";
  const inherited = (): string => execFileSync("/usr/bin/env", { encoding: "utf8" });
  expect(inherited()).toContain("secret-of-the-house");
  const env = takeSecrets(process.env);
  expect(names.map((name) => env[name])).toEqual(names.map(() => "secret-of-the-house"));
  expect(inherited()).not.toContain("secret-of-the-house");
  expect(inherited()).toContain("PATH=");
});
