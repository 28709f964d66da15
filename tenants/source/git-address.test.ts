import { expect, test } from "vitest";
import { isPrivate, reachAddress, readGitAddress, strictAddressRules } from "./git-address.ts";

test.each([
  ["https://github.com/acme/pipelines.git", "https://github.com/acme/pipelines.git", 443],
  ["https://git.example.org:8443/a/b", "https://git.example.org:8443/a/b", 8443],
  ["ssh://git@github.com/acme/pipelines.git", "ssh://git@github.com:22/acme/pipelines.git", 22],
  ["git@github.com:acme/pipelines.git", "ssh://git@github.com:22/acme/pipelines.git", 22],
  ["ssh://deploy@git.example.org:2222/x.git", "ssh://deploy@git.example.org:2222/x.git", 2222],
])("%s may be fetched", (raw, url, port) => {
  expect(readGitAddress(raw, strictAddressRules)).toMatchObject({ ok: true, value: { url, port } });
});

test.each([
  "ext::sh -c touch% /tmp/pwned",
  "ext::sh",
  "fd::17",
  "-uX",
  "--upload-pack=touch /tmp/pwned",
  "file:///etc",
  "file:///%E0%A4%A",
  "/etc",
  "../x",
  "http://github.com/a/b.git",
  "git://github.com/a/b.git",
  "ftp://x/y",
  "https://user:pass@host/x.git",
  "https://a@b@c/x",
  "https://token@github.com/a.git",
  "https://host/x.git?a=b",
  "https://host/x.git#f",
  "https://host/",
  "https://host/..%2e%2e/%2e%2e/x/..",
  "https://host/a b.git",
  "https://host/a\nb.git",
  "ssh://-oProxyCommand=x/y",
  "ssh://-x@host/y",
  "ssh://git:pw@host/x",
  "https://",
  "host:path",
  "javascript:alert(1)",
  "https://ho\\st/x",
])("%s is refused without anything being started", (raw) => {
  expect(readGitAddress(raw, strictAddressRules)).toMatchObject({
    ok: false,
    problem: { kind: "refused_address" },
  });
});

test("plain http and file:// only where an admin's list says so", () => {
  const rules = { privateHosts: ["127.0.0.1:3000"], fileRoots: ["/srv/git"] };
  expect(readGitAddress("http://127.0.0.1:3000/a.git", rules).ok).toBe(true);
  expect(readGitAddress("http://127.0.0.1:3001/a.git", rules).ok).toBe(false);
  expect(readGitAddress("file:///srv/git/a.git", rules).ok).toBe(true);
  expect(readGitAddress("file:///srv/gitty/a.git", rules).ok).toBe(false);
  expect(readGitAddress("file:///srv/git/%2e%2e/x.git", rules).ok).toBe(false);
});

test.each([
  "127.0.0.1",
  "10.1.2.3",
  "172.31.0.1",
  "192.168.0.1",
  "169.254.169.254",
  "100.64.0.1",
  "0.0.0.0",
  "224.0.0.1",
  "255.255.255.255",
  "::1",
  "::",
  "fe80::1",
  "fc00::1",
  "fd12::1",
  "::ffff:10.0.0.1",
  "::ffff:169.254.169.254",
  "64:ff9b::7f00:1",
  "2002:7f00:1::",
  "2001:db8::1",
  "ff02::1",
  "nonsense",
])("%s is private", (ip) => expect(isPrivate(ip)).toBe(true));

test.each(["140.82.121.3", "1.1.1.1", "2606:4700::1111", "2a00:1450::1"])("%s is public", (ip) =>
  expect(isPrivate(ip)).toBe(false),
);

test.each([
  "https://2130706433/x.git",
  "https://0x7f.1/x.git",
  "https://127.1/x.git",
  "https://[::ffff:127.0.0.1]/x.git",
  "https://[::1]/x.git",
  "https://169.254.169.254/latest/x",
])("%s is loopback or metadata in disguise", async (raw) => {
  const address = readGitAddress(raw, strictAddressRules);
  if (address.ok)
    expect(await reachAddress(address.value, strictAddressRules)).toMatchObject({
      ok: false,
      problem: { kind: "refused_address" },
    });
  else expect(address.problem.kind).toBe("refused_address");
});

test("a name with one private address among public ones is refused, and a public one is pinned", async () => {
  const address = readGitAddress("https://git.example.org/x.git", strictAddressRules);
  if (!address.ok) throw new Error(address.problem.message);
  expect(
    await reachAddress(address.value, strictAddressRules, async () => ["140.82.121.3", "10.0.0.1"]),
  ).toMatchObject({ ok: false });
  expect(
    await reachAddress(address.value, strictAddressRules, async () => ["140.82.121.3"]),
  ).toMatchObject({ ok: true, value: { pinned: "140.82.121.3" } });
  expect(
    await reachAddress(
      address.value,
      { privateHosts: ["git.example.org"], fileRoots: [] },
      async () => ["10.0.0.1"],
    ),
  ).toMatchObject({ ok: true, value: { pinned: "10.0.0.1" } });
  expect(
    await reachAddress(address.value, strictAddressRules, async () => {
      throw new Error("NXDOMAIN");
    }),
  ).toMatchObject({ ok: false, problem: { kind: "unreachable" } });
});
