import { expect, test } from "vitest";
import { isSecretName, maskExtra, unmaskExtra } from "./connection-value.ts";

test.each([
  "password",
  "aws_secret_access_key",
  "api_key",
  "apikey",
  "private_key",
  "keyfile_dict",
  "token",
  "Authorization",
  "sas_token",
  "key",
  "sslcert",
  "connection_string",
  "extra__google_cloud_platform__keyfile_dict",
  "passphrase",
])("%s is the name of a secret", (name) => expect(isSecretName(name)).toBe(true));
test.each([
  "region_name",
  "host",
  "timeout",
  "sslmode",
  "keepalives",
  "schema",
  "role_arn",
  "verify",
])("%s is not", (name) => expect(isSecretName(name)).toBe(false));

test("extra is shown without its secrets, nested ones and those in URLs included", () => {
  const shown = maskExtra(
    JSON.stringify({
      region_name: "eu-west-1",
      timeout: 5,
      password: "canary1",
      nested: { api_key: ["canary2", { deep: "canary3" }] },
      proxy: "https://user:canary4@proxy:80/",
      pem: "-----BEGIN PRIVATE KEY-----canary5",
    }),
  );
  expect(shown).not.toContain("canary");
  expect(JSON.parse(shown)).toMatchObject({
    region_name: "eu-west-1",
    timeout: 5,
    password: "***",
  });
});

test("extra that is no JSON object is all secret", () => {
  expect(maskExtra("canary")).toBe("***");
  expect(maskExtra('"canary"')).toBe("***");
  expect(maskExtra('["canary"]')).toBe("***");
});

test("what comes back masked stays as it was, what comes back changed is changed", () => {
  const before = JSON.stringify({ password: "p1", api: { token: "t1", host: "a" } });
  const sent = JSON.stringify({ password: "***", api: { token: "t2", host: "b" }, other: 1 });
  expect(JSON.parse(unmaskExtra(sent, before))).toEqual({
    password: "p1",
    api: { token: "t2", host: "b" },
    other: 1,
  });
  expect(unmaskExtra("***", before)).toBe(before);
  expect(unmaskExtra("plain", before)).toBe("plain");
});

test("a name of JavaScript's own is a name like any other", () => {
  const sent = '{"__proto__":{"a":"***"},"constructor":"***"}';
  expect(unmaskExtra(sent, "{}")).toBe(sent);
});
