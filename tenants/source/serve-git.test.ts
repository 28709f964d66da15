import { execSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { known } from "../../platform/model/ids.ts";
import {
  commit,
  craftRawTree,
  git,
  gitAside,
  type LoopbackServer,
  newRepository,
  serveHttp,
  temporaryFolder,
} from "../../test/kit/git.ts";
import { createHosted, hostedDir } from "./hosted-repository.ts";
import { type GitAccessRequest, type GitHost, serveGit } from "./serve-git.ts";

const place = temporaryFolder();
const root = join(place, "hosted");
const acme = known.tenant("acme");
const pipelines = known.repository("pipelines");
let server: LoopbackServer;
let pushed: string[][] = [];
let answer: (refs: readonly string[]) => AsyncIterable<string>;
const asked: GitAccessRequest[] = [];

const host: GitHost = {
  root,
  async authorize(access) {
    asked.push(access);
    if (access.basic === undefined) return { kind: "sign_in" };
    if (access.basic.password !== "secret") return { kind: "sign_in" };
    if (access.tenant !== "acme") return { kind: "unknown" };
    if (access.deed === "repo.push" && access.basic.username === "viewer")
      return { kind: "forbidden", message: "viewer may not push to acme/pipelines." };
    return { kind: "allowed", actor: access.basic.username };
  },
  pushed({ refs }) {
    pushed.push([...refs]);
    return answer(refs);
  },
  limits: { pushBytes: 2 * 1024 * 1024 },
};

beforeAll(async () => {
  await createHosted(hostedDir(root, acme, pipelines), "main");
  server = await serveHttp((incoming, response) => {
    void serveGit(incoming, response, host);
  });
});
afterAll(async () => {
  await server.close();
  rmSync(place, { recursive: true, force: true });
});

const url = (user = "admin:secret@", name = "acme/pipelines"): string =>
  `http://${user}127.0.0.1:${server.port}/git/${name}.git`;

test("a push is answered in remote: lines, line by line, after git's own report", async () => {
  answer = async function* () {
    yield "parsing 1 file";
    yield "live in 12 ms: 1 DAG (1 new)";
  };
  pushed = [];
  const folder = join(place, "work");
  newRepository(folder, { "dags/a.py": "x" });
  const push = await gitAside(folder, ["push", url(), "main"]);
  expect(push).toMatchObject({ code: 0 });
  expect(push.err).toMatch(/remote: parsing 1 file[^\n]*\nremote: live in 12 ms: 1 DAG \(1 new\)/);
  expect(pushed).toEqual([["refs/heads/main"]]);
  expect(git(hostedDir(root, acme, pipelines), ["rev-parse", "main"])).toBe(
    git(folder, ["rev-parse", "HEAD"]),
  );
});

test("what was pushed can be cloned", async () => {
  const clone = await gitAside(place, ["clone", "-q", url(), "clone"]);
  expect(clone).toMatchObject({ code: 0 });
  expect(git(join(place, "clone"), ["show", "HEAD:dags/a.py"])).toBe("x");
});

test("an answer cannot steer the terminal of who pushes", async () => {
  answer = async function* () {
    yield "dags/\u001b[31mred\u001b]0;title\u0007.py:1: bad\nremote: forged";
  };
  const folder = join(place, "work");
  commit(folder, { "dags/a.py": "y" });
  const push = await gitAside(folder, ["push", url(), "main"]);
  expect(push.code).toBe(0);
  const ours = push.err.split("\n").filter((line) => line.includes("dags/"));
  expect(ours).toHaveLength(1);
  expect(ours[0]).toContain("dags/ [31mred ]0;title .py:1: bad remote: forged");
});

test("a push that changes nothing asks for no sync", async () => {
  pushed = [];
  const push = await gitAside(join(place, "work"), ["push", url(), "main"]);
  expect(push.code).toBe(0);
  expect(pushed).toEqual([]);
});

test("without credentials git is asked to sign in, with wrong ones it is refused", async () => {
  const none = await gitAside(place, ["ls-remote", url("")]);
  expect(none.code).not.toBe(0);
  const wrong = await gitAside(place, ["ls-remote", url("admin:wrong@")]);
  expect(wrong.err).toMatch(/Authentication failed/);
});

test("who may read but not push is told so", async () => {
  const folder = join(place, "work");
  commit(folder, { "dags/a.py": "z" });
  const push = await gitAside(folder, ["push", url("viewer:secret@"), "main"]);
  expect(push.code).not.toBe(0);
  expect(push.err).toContain("403");
});

test("another tenant's repository is not found, and neither is one that does not exist", async () => {
  const other = await fetch(
    `http://127.0.0.1:${server.port}/git/globex/secret.git/info/refs?service=git-upload-pack`,
    { headers: { authorization: `Basic ${btoa("admin:secret")}` } },
  );
  expect(other.status).toBe(404);
});

test("a push larger than allowed is refused and changes nothing", async () => {
  answer = async function* () {
    yield "never";
  };
  pushed = [];
  const folder = join(place, "large");
  await gitAside(place, ["clone", "-q", url(), "large"]);
  commit(folder, { "data.bin": randomBytes(3 * 1024 * 1024) });
  const before = git(hostedDir(root, acme, pipelines), ["rev-parse", "main"]);
  const push = await gitAside(folder, ["push", url(), "main"]);
  expect(push.code).not.toBe(0);
  expect(push.err).toContain("remote: fatal: pack exceeds maximum allowed size");
  expect(pushed).toEqual([]);
  expect(git(hostedDir(root, acme, pipelines), ["rev-parse", "main"])).toBe(before);
});

test("a push of 1.5 MB, sent in chunks, arrives", async () => {
  answer = async function* () {
    yield "live";
  };
  const folder = join(place, "chunked");
  await gitAside(place, ["clone", "-q", url(), "chunked"]);
  commit(folder, { "data.bin": randomBytes(1.5 * 1024 * 1024) });
  const push = await gitAside(folder, ["push", url(), "main"]);
  expect(push).toMatchObject({ code: 0 });
  expect(push.err).toContain("remote: live");
});

test("the deployed branch cannot be deleted, others can", async () => {
  answer = async function* () {
    yield "seen";
  };
  const folder = join(place, "chunked");
  const gone = await gitAside(folder, ["push", url(), ":main"]);
  expect(gone.code).not.toBe(0);
  await gitAside(folder, ["push", url(), "HEAD:refs/heads/other"]);
  const other = await gitAside(folder, ["push", url(), ":other"]);
  expect(other).toMatchObject({ code: 0 });
});

test.each([
  ["/git/acme/pipelines.git/config"],
  ["/git/acme/pipelines.git/objects/info/packs"],
  ["/git/acme/../acme/pipelines.git/HEAD"],
  ["/git/acme/%2e%2e%2fx.git/info/refs?service=git-upload-pack"],
  ["/git/acme/pipelines.git/info/refs"],
  ["/git/acme/pipelines.git/info/refs?service=git-upload-archive"],
  ["/git/acme/pipelines.git/info/refs?service=git-upload-pack&x=1"],
  ["/git/ACME/pipelines.git/info/refs?service=git-upload-pack"],
])("%s is nothing, and nobody is asked about it", async (path) => {
  asked.length = 0;
  const status = await new Promise((resolve) => {
    request(
      {
        port: server.port,
        host: "127.0.0.1",
        path,
        headers: { authorization: `Basic ${btoa("admin:secret")}` },
      },
      (response) => {
        response.resume();
        resolve(response.statusCode);
      },
    ).end();
  });
  expect(status).toBe(404);
  expect(asked).toEqual([]);
});

test("objects with a .. entry are refused at the door", async () => {
  const folder = join(place, "chunked");
  const blob = git(folder, ["hash-object", "-w", "--stdin"], "pwn");
  const tree = craftRawTree(folder, [{ mode: "100644", name: "..", object: blob }]);
  const evil = git(folder, ["commit-tree", tree, "-m", "evil"]);
  const push = await gitAside(folder, ["push", url(), `${evil}:refs/heads/evil`]);
  expect(push.code).not.toBe(0);
  expect(push.err).toMatch(/hasDotdot/);
});

test("a branch named like an option is a name like any other", async () => {
  answer = async function* () {
    yield "seen";
  };
  pushed = [];
  const folder = join(place, "chunked");
  const push = await gitAside(folder, ["push", url(), "HEAD:refs/heads/--upload-pack=touch"]);
  expect(push).toMatchObject({ code: 0 });
  expect(pushed).toEqual([["refs/heads/--upload-pack=touch"]]);
});

const backends = (): number =>
  Number(
    execSync(`ps -o args= --ppid ${process.pid} | grep -c '[h]ttp-backend' || true`).toString(),
  );

test("a client that hangs up in the middle leaves no git behind", async () => {
  const socket = connect(server.port, "127.0.0.1");
  socket.write(
    `POST /git/acme/pipelines.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ${btoa("admin:secret")}\r\nContent-Type: application/x-git-receive-pack-request\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n00ff\r\n`,
  );
  const before = await until(() => backends() > 0);
  socket.destroy();
  expect(before).toBe(true);
  expect(await until(() => backends() === 0)).toBe(true);
});

async function until(fact: () => boolean): Promise<boolean> {
  const end = performance.now() + 10_000;
  while (performance.now() < end) {
    if (fact()) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}
