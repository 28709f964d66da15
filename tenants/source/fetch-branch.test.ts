import { execSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { known } from "../../platform/model/ids.ts";
import {
  commit,
  craftRawTree,
  git,
  type LoopbackServer,
  newRepository,
  type SshServer,
  serveHttp,
  serveSsh,
  sshdPath,
  temporaryFolder,
} from "../../test/kit/git.ts";
import type { GitCredentials } from "./credentials.ts";
import { askHead, fetchBranch, type Remote } from "./fetch-branch.ts";
import { reachAddress, readGitAddress } from "./git-address.ts";
import { createHosted, hostedDir } from "./hosted-repository.ts";
import { serveGit } from "./serve-git.ts";

const containing = (text: string): unknown => expect.stringContaining(text);

const place = temporaryFolder();
const served = hostedDir(join(place, "hosted"), known.tenant("acme"), known.repository("x"));
const author = join(place, "author");
let server: LoopbackServer;

beforeAll(async () => {
  await createHosted(served, "main");
  newRepository(author, { "dags/a.py": "1" });
  git(author, ["push", "-q", served, "main"]);
  server = await serveHttp((request, response) => {
    void serveGit(request, response, {
      root: join(place, "hosted"),
      authorize: async ({ basic }) =>
        basic?.username === "robot" && basic.password === "t0ken"
          ? { kind: "allowed", actor: "robot" }
          : { kind: "sign_in" },
      async *pushed() {},
    });
  });
});
afterAll(async () => {
  await server.close();
  rmSync(place, { recursive: true, force: true });
});

const token: GitCredentials = { kind: "token", username: "robot", token: "t0ken" };

async function remoteAt(url: string, rest: Partial<Remote> = {}): Promise<Remote> {
  const hosts = { privateHosts: ["127.0.0.1"], fileRoots: [] };
  const address = readGitAddress(url, hosts);
  if (!address.ok) throw new Error(address.problem.message);
  const reached = await reachAddress(address.value, hosts);
  if (!reached.ok) throw new Error(reached.problem.message);
  return {
    address: reached.value,
    branch: "main",
    credentials: token,
    temporaryDir: place,
    deadlineMs: 10_000,
    ...rest,
  };
}
const overHttp = (rest: Partial<Remote> = {}): Promise<Remote> =>
  remoteAt(`http://127.0.0.1:${server.port}/git/acme/x.git`, rest);
let mirrors = 0;
const newMirror = (): string => join(place, "mirrors", String(mirrors++), "repo.git");

test("a branch is fetched with a token, and the credentials leave nothing behind", async () => {
  const mirror = newMirror();
  const fetched = await fetchBranch(mirror, await overHttp());
  expect(fetched).toEqual({ ok: true, value: git(author, ["rev-parse", "HEAD"]) });
  expect(execSync(`grep -rl t0ken ${place} || true`).toString()).toBe("");
  expect(readdirSync(place).filter((name) => name.startsWith("access-"))).toEqual([]);
});

test("polling asks for the head without fetching", async () => {
  expect(await askHead(await overHttp())).toEqual({
    ok: true,
    value: git(author, ["rev-parse", "HEAD"]),
  });
});

test("a wrong token and no token are sign-in problems", async () => {
  const wrong = await fetchBranch(
    newMirror(),
    await overHttp({ credentials: { kind: "token", username: "robot", token: "wrong" } }),
  );
  expect(wrong).toMatchObject({ ok: false, problem: { kind: "sign_in_refused" } });
  expect(JSON.stringify(wrong)).not.toContain('wrong"');
  expect(
    await fetchBranch(newMirror(), await overHttp({ credentials: { kind: "none" } })),
  ).toMatchObject({ ok: false, problem: { kind: "sign_in_refused" } });
});

test("a repository that is not there is not found", async () => {
  const missing = await serveHttp((_, response) => response.writeHead(404).end());
  const remote = await remoteAt(`http://127.0.0.1:${missing.port}/no.git`);
  expect(await fetchBranch(newMirror(), remote)).toMatchObject({
    ok: false,
    problem: { kind: "not_found" },
  });
  await missing.close();
});

test("force-push, rewritten history and a deleted branch", async () => {
  const mirror = newMirror();
  const first = git(author, ["rev-parse", "HEAD"]);
  commit(author, { "dags/a.py": "2" });
  git(author, ["push", "-q", served, "main"]);
  await fetchBranch(mirror, await overHttp());

  git(author, ["reset", "-q", "--hard", first]);
  const forced = commit(author, { "dags/a.py": "forced" });
  git(author, ["push", "-q", "--force", served, "main"]);
  expect(await fetchBranch(mirror, await overHttp())).toEqual({ ok: true, value: forced });

  git(author, ["checkout", "-q", "--orphan", "rewritten"]);
  const rewritten = commit(author, { "dags/b.py": "all new" });
  git(author, ["push", "-q", "--force", served, "rewritten:main"]);
  expect(await fetchBranch(mirror, await overHttp())).toEqual({ ok: true, value: rewritten });

  git(author, ["push", "-q", served, "HEAD:refs/heads/feature"]);
  expect(await fetchBranch(mirror, await overHttp({ branch: "feature" }))).toMatchObject({
    ok: true,
  });
  git(author, ["push", "-q", served, ":feature"]);
  expect(await fetchBranch(mirror, await overHttp({ branch: "feature" }))).toMatchObject({
    ok: false,
    problem: { kind: "no_such_branch", message: containing("feature") },
  });
  expect(await askHead(await overHttp({ branch: "feature" }))).toMatchObject({
    ok: false,
    problem: { kind: "no_such_branch" },
  });
});

test("locks and half packs of a fetch that was killed do not stop the next one", async () => {
  const mirror = newMirror();
  await fetchBranch(mirror, await overHttp());
  for (const name of [
    "shallow.lock",
    "HEAD.lock",
    "refs/airlock/head.lock",
    "packed-refs.lock",
    "objects/pack/tmp_pack_xyz",
  ]) {
    mkdirSync(join(mirror, name, ".."), { recursive: true });
    writeFileSync(join(mirror, name), "stale");
  }
  commit(author, { "dags/a.py": "after the crash" });
  git(author, ["push", "-q", "--force", served, "HEAD:main"]);
  expect(await fetchBranch(mirror, await overHttp())).toEqual({
    ok: true,
    value: git(author, ["rev-parse", "HEAD"]),
  });
  expect(
    readdirSync(join(mirror, "objects/pack")).filter((name) => name.startsWith("tmp")),
  ).toEqual([]);
});

test("a mirror that is damaged is made again", async () => {
  const mirror = newMirror();
  await fetchBranch(mirror, await overHttp());
  writeFileSync(join(mirror, "config"), "[core\nbroken");
  expect(await fetchBranch(mirror, await overHttp())).toMatchObject({ ok: true });
});

test("a server that never answers is ended at the deadline, with its helpers", async () => {
  const silent = await serveHttp(() => undefined);
  const remote = await remoteAt(`http://127.0.0.1:${silent.port}/silent.git`, { deadlineMs: 1000 });
  expect(await fetchBranch(newMirror(), remote)).toMatchObject({
    ok: false,
    problem: { kind: "too_slow" },
  });
  expect(
    execSync(
      `ps -eo args | grep -F '127.0.0.1:${silent.port}/silent' | grep -v grep || true`,
    ).toString(),
  ).toBe("");
  await silent.close();
});

test("a server that dies in the middle of the pack is reported as such, and nothing moves", async () => {
  const mirror = newMirror();
  const before = await fetchBranch(mirror, await overHttp());
  commit(author, {
    "dags/large.txt": Array.from(
      { length: 20_000 },
      (_, i) => `${(i * 2654435761) % 4294967296}`,
    ).join("\n"),
  });
  git(author, ["push", "-q", "--force", served, "HEAD:main"]);
  const dying = await serveHttp((request, response) => {
    if (
      request.method === "POST" &&
      request.headers["content-length"] !== undefined &&
      (request.url ?? "").endsWith("git-upload-pack")
    ) {
      // Headers and the start of a pack, then the line is cut.
      let body = "";
      request.on("data", (chunk: Buffer) => {
        body += chunk.toString("latin1");
      });
      request.on("end", () => {
        if (!body.includes("command=fetch"))
          return void forward(request.url ?? "", body, request.headers, response);
        response.writeHead(200, { "content-type": "application/x-git-upload-pack-result" });
        response.write("000dpackfile\n0011\u0001PACK\0\0\0\u0002\0\0\0\u0003");
        setTimeout(() => response.destroy(), 50);
      });
      return;
    }
    void forward(request.url ?? "", undefined, request.headers, response);
  });
  const remote = await remoteAt(`http://127.0.0.1:${dying.port}/git/acme/x.git`);
  const fetched = await fetchBranch(mirror, remote);
  expect(fetched).toMatchObject({ ok: false, problem: { kind: "broken_off" } });
  expect(before.ok && git(mirror, ["rev-parse", "refs/airlock/head"])).toBe(
    before.ok && before.value,
  );
  expect(await fetchBranch(mirror, await overHttp())).toEqual({
    ok: true,
    value: git(author, ["rev-parse", "HEAD"]),
  });
  await dying.close();
});

async function forward(
  path: string,
  body: string | undefined,
  headers: Record<string, unknown>,
  response: import("node:http").ServerResponse,
): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: Object.fromEntries(
      ["authorization", "git-protocol", "content-type"].flatMap((name) =>
        typeof headers[name] === "string" ? [[name, headers[name]]] : [],
      ),
    ),
    ...(body === undefined ? {} : { body: Buffer.from(body, "latin1") }),
  });
  response.writeHead(
    answer.status,
    Object.fromEntries(
      [...answer.headers].filter(([name]) => /^(content-type|www-authenticate)$/.test(name)),
    ),
  );
  response.end(Buffer.from(await answer.arrayBuffer()));
}

test("a server that sends anything else than git is no surprise", async () => {
  const chatter = await serveHttp((_, response) =>
    response
      .writeHead(200, { "content-type": "application/x-git-upload-pack-advertisement" })
      .end("zzzz\0\0\0\0\n"),
  );
  const remote = await remoteAt(`http://127.0.0.1:${chatter.port}/x.git`);
  expect(await fetchBranch(newMirror(), remote)).toMatchObject({ ok: false });
  await chatter.close();
});

test("a redirect, to a private address or anywhere, is not followed", async () => {
  let visited = false;
  const inner = await serveHttp((_, response) => {
    visited = true;
    response.end();
  });
  const outer = await serveHttp((request, response) =>
    response
      .writeHead(302, { location: `http://127.0.0.1:${inner.port}${request.url ?? ""}` })
      .end(),
  );
  const remote = await remoteAt(`http://127.0.0.1:${outer.port}/x.git`);
  expect(await fetchBranch(newMirror(), remote)).toMatchObject({ ok: false });
  expect(visited).toBe(false);
  await inner.close();
  await outer.close();
});

test("objects with .git, .. or slashes in their names are refused by fsck", async () => {
  const blob = git(author, ["hash-object", "-w", "--stdin"], "pwn");
  for (const name of ["..", ".git", "../../pwn.py"]) {
    const tree = craftRawTree(author, [{ mode: "100644", name, object: blob }]);
    const evil = git(author, ["commit-tree", tree, "-m", "evil"]);
    git(author, ["push", "-q", "--force", served, `${evil}:refs/heads/evil`]);
    expect(await fetchBranch(newMirror(), await overHttp({ branch: "evil" }))).toMatchObject({
      ok: false,
      problem: { kind: "hostile_objects" },
    });
  }
});

test("a pack beyond the limit is cut off", async () => {
  git(author, ["checkout", "-q", "-B", "big"]);
  commit(author, { "big.bin": randomBytes(3_000_000) });
  git(author, ["push", "-q", "--force", served, "HEAD:refs/heads/big"]);
  expect(
    await fetchBranch(newMirror(), await overHttp({ branch: "big", packBytesMax: 1_000_000 })),
  ).toMatchObject({ ok: false, problem: { kind: "too_large" } });
});

test("a fetch that is stopped says so", async () => {
  const silent = await serveHttp(() => undefined);
  const remote = await remoteAt(`http://127.0.0.1:${silent.port}/x.git`, {
    signal: AbortSignal.timeout(300),
  });
  expect(await fetchBranch(newMirror(), remote)).toMatchObject({
    ok: false,
    problem: { kind: "stopped" },
  });
  await silent.close();
});

describe.skipIf(sshdPath === undefined)(
  "over ssh (sshd: skipped where openssh-server is not installed)",
  () => {
    let ssh: SshServer;
    beforeAll(async () => {
      ssh = await serveSsh();
    });
    afterAll(() => ssh.close());
    const user = execSync("id -un").toString().trim();
    const at = (credentials: GitCredentials): Promise<Remote> =>
      remoteAt(`ssh://${user}@127.0.0.1:${ssh.port}${served}`, { credentials });

    test("a deploy key and a pinned host key fetch the branch", async () => {
      const fetched = await fetchBranch(
        newMirror(),
        await at({ kind: "deploy_key", privateKey: ssh.privateKey, knownHosts: ssh.knownHosts }),
      );
      expect(fetched).toMatchObject({ ok: true });
    });
    test("another host key is refused before anything is sent", async () => {
      const other = ssh.knownHosts.replace(
        /(ssh-ed25519 ).*/,
        "$1AAAAC3NzaC1lZDI1NTE5AAAAIBwl5hW5m3q1b2yG2i8p7Q1m3T7QFQbQ0Yh0a8m0m0m0",
      );
      expect(
        await fetchBranch(
          newMirror(),
          await at({ kind: "deploy_key", privateKey: ssh.privateKey, knownHosts: other }),
        ),
      ).toMatchObject({ ok: false, problem: { kind: "host_key" } });
    });
    test("no pinned key for this host: nothing is tried", async () => {
      expect(
        await fetchBranch(
          newMirror(),
          await at({
            kind: "deploy_key",
            privateKey: ssh.privateKey,
            knownHosts: "github.com ssh-ed25519 AAAA",
          }),
        ),
      ).toMatchObject({
        ok: false,
        problem: { kind: "host_key", message: containing("pinned") },
      });
    });
    test("a stranger's key is refused", async () => {
      expect(
        await fetchBranch(
          newMirror(),
          await at({
            kind: "deploy_key",
            privateKey: ssh.strangersKey,
            knownHosts: ssh.knownHosts,
          }),
        ),
      ).toMatchObject({ ok: false, problem: { kind: "sign_in_refused" } });
    });
  },
);
