import { expect, test } from "vitest";
import { changedFields, onePath } from "./use-things.ts";

test("only what was changed is sent, and a secret only if something was typed", () => {
  const before = { host: "a", port: 1, password: null };
  expect(changedFields(before, { host: "a", port: 2, password: undefined })).toEqual({ port: 2 });
  expect(changedFields(before, { host: null, port: 1, password: "x" })).toEqual({
    host: null,
    password: "x",
  });
  expect(changedFields(undefined, { host: "a", password: undefined })).toEqual({ host: "a" });
});

test("a name cannot leave its place in the address", () => {
  expect(onePath("acme", "variables", "../a/b?c")).toBe("/t/acme/api/v2/variables/..%2Fa%2Fb%3Fc");
});
