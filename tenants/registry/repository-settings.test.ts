import { expect, test } from "vitest";
import { readEgressRules } from "./egress.ts";
import { readBranch, readFolder, readRepositorySettings } from "./repository-settings.ts";

const containing = (text: string): unknown => expect.stringContaining(text);

test("what is not said is main, the root and the built-in host", () => {
  expect(readRepositorySettings({})).toEqual({
    ok: true,
    value: { origin: { kind: "hosted" }, branch: "main", path: "" },
  });
  expect(
    readRepositorySettings({ url: "https://x/y", branch: "release/1.x", path: "./teams/a/" }),
  ).toEqual({
    ok: true,
    value: {
      origin: { kind: "external", url: "https://x/y" },
      branch: "release/1.x",
      path: "teams/a",
    },
  });
});

test.each([
  ["--help"],
  ["-b"],
  ["a b"],
  ["a..b"],
  ["a~1"],
  ["a^"],
  ["a:b"],
  ["a?"],
  ["a*"],
  ["[a"],
  ["a\\b"],
  ["/a"],
  ["a/"],
  ["a//b"],
  ["a."],
  [".a"],
  ["a/.b"],
  ["a.lock"],
  ["@"],
  ["a@{b"],
  ["a\nb"],
  ["a\u0000"],
  [""],
  ["x".repeat(201)],
  [7],
  [null],
])("%j is no branch", (raw) => expect(readBranch(raw).ok).toBe(false));

test.each(["main", "feature/x", "v1.2", "Ünïcode", "a-b_c"])("%s is a branch", (raw) =>
  expect(readBranch(raw)).toEqual({ ok: true, value: raw }),
);

test.each(["..", "a/../b", "/etc", "a//b", "a/.git/b", ".GIT", "a\\b", "c:x", "a\nb", 3])(
  "%j is no folder inside",
  (raw) => expect(readFolder(raw).ok).toBe(false),
);

test("a bad setting is named", () => {
  expect(readRepositorySettings({ branch: "-x" })).toMatchObject({
    ok: false,
    problem: { field: "branch" },
  });
  expect(readRepositorySettings({ path: "../x" })).toMatchObject({
    ok: false,
    problem: { field: "path" },
  });
  expect(readRepositorySettings({ url: 7 })).toMatchObject({
    ok: false,
    problem: { field: "url" },
  });
  expect(readRepositorySettings([])).toMatchObject({ ok: false, problem: { field: "body" } });
});

test("egress rules are exact hosts and ports", () => {
  expect(
    readEgressRules(["API.example.org:443", "api.example.org:443", "[2001:db8::1]:5432"]),
  ).toEqual({
    ok: true,
    value: [
      { host: "api.example.org", port: 443 },
      { host: "2001:db8::1", port: 5432 },
    ],
  });
});

test.each([
  ["*:443"],
  ["*.example.org:443"],
  ["host"],
  ["host:0"],
  ["host:70000"],
  ["host:443\n"],
  ["http://host:80"],
  ["ho st:1"],
  [7],
])("%j is no egress rule", (raw) => {
  expect(readEgressRules([raw])).toMatchObject({
    ok: false,
    problem: containing("egress[0]"),
  });
});
