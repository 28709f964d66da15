/** Repositories to fetch and push from, as an author's machine has them, and servers on loopback to have them on. */
import { execFile, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const authorEnv = {
  PATH: process.env["PATH"] ?? "",
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_TERMINAL_PROMPT: "0",
  GIT_AUTHOR_NAME: "Author",
  GIT_AUTHOR_EMAIL: "author@example.org",
  GIT_COMMITTER_NAME: "Author",
  GIT_COMMITTER_EMAIL: "author@example.org",
};

export const temporaryFolder = (): string => mkdtempSync(join(tmpdir(), "airlock-git-"));

export function git(folder: string, args: readonly string[], input?: string | Buffer): string {
  return execFileSync("git", ["-C", folder, ...args], {
    env: authorEnv,
    input: input ?? "",
    maxBuffer: 1 << 28,
    stdio: ["pipe", "pipe", "pipe"],
  })
    .toString()
    .trim();
}

/** For commands that talk to a server in this very process: nothing may block the event loop. */
export async function gitAside(
  folder: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)("git", ["-C", folder, ...args], {
      env: { ...authorEnv, ...env },
      maxBuffer: 1 << 28,
    });
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, out: stdout, err: stderr };
  }
}

/** A work tree with a first commit on `main`. */
export function newRepository(folder: string, files: Record<string, string | Buffer>): string {
  mkdirSync(folder, { recursive: true });
  git(folder, ["init", "--quiet", "--initial-branch=main", "."]);
  return commit(folder, files, "first");
}

/** Writes the files (null removes one) and commits. Answers the commit. */
export function commit(
  folder: string,
  files: Record<string, string | Buffer | null>,
  message = "change",
): string {
  for (const [path, content] of Object.entries(files)) {
    const place = join(folder, path);
    if (content === null) rmSync(place);
    else {
      mkdirSync(dirname(place), { recursive: true });
      writeFileSync(place, content);
    }
  }
  git(folder, ["add", "--all", "."]);
  git(folder, ["commit", "--quiet", "--allow-empty", "-m", message]);
  return git(folder, ["rev-parse", "HEAD"]);
}

export type CraftedEntry = {
  readonly mode?: string;
  readonly path: string;
  readonly content?: string | Buffer;
  readonly object?: string;
};

/** A commit whose tree has exactly these entries, past every check of `git add`. Paths may hold slashes: they become one entry's name. */
export function craftCommit(folder: string, entries: readonly CraftedEntry[]): string {
  const lines = entries.map(({ mode = "100644", path, content = "", object }) => {
    const id = object ?? git(folder, ["hash-object", "-w", "--stdin"], content);
    const kind = mode === "040000" ? "tree" : mode === "160000" ? "commit" : "blob";
    return `${mode} ${kind} ${id}\t${path}\0`;
  });
  const tree = git(folder, ["mktree", "-z", "--missing"], lines.join(""));
  return git(folder, ["commit-tree", tree, "-m", "crafted"]);
}

/** Raw tree objects, for names that even mktree refuses. */
export function craftRawTree(
  folder: string,
  entries: readonly { readonly mode: string; readonly name: string; readonly object: string }[],
): string {
  const raw = Buffer.concat(
    entries.map(({ mode, name, object }) =>
      Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(object, "hex")]),
    ),
  );
  return git(folder, ["hash-object", "-t", "tree", "-w", "--stdin", "--literally"], raw);
}

/** Eight levels of ten equal entries: 10^8 paths in a few kilobytes. */
export function craftBomb(folder: string): string {
  let object = git(folder, ["hash-object", "-w", "--stdin"], "boom\n");
  let mode = "100644";
  for (let level = 0; level < 8; level++) {
    const entries = Array.from({ length: 10 }, (_, i) => ({ mode, name: `f${i}`, object }));
    object = craftRawTree(folder, entries);
    mode = "40000";
  }
  return git(folder, ["commit-tree", object, "-m", "bomb"]);
}

export type LoopbackServer = { readonly port: number; close(): Promise<void> };

export async function serveHttp(listener: RequestListener): Promise<LoopbackServer> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type SshServer = LoopbackServer & {
  readonly knownHosts: string;
  readonly privateKey: string;
  readonly strangersKey: string;
};

export const sshdPath = ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"].find((path) =>
  existsSync(path),
);

/** A real sshd that lets one deploy key run git-shell alone. */
export async function serveSsh(): Promise<SshServer> {
  if (sshdPath === undefined) throw new Error("sshd is not installed");
  const folder = temporaryFolder();
  if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true });
  for (const name of ["host", "deploy", "stranger"])
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, name)]);
  const read = (name: string): string => execFileSync("cat", [join(folder, name)]).toString();
  const port = await freePort();
  writeFileSync(
    join(folder, "ak"),
    `command="git-shell -c \\"$SSH_ORIGINAL_COMMAND\\"",restrict ${read("deploy.pub")}`,
  );
  writeFileSync(
    join(folder, "config"),
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${folder}/host`,
      `PidFile ${folder}/pid`,
      `AuthorizedKeysFile ${folder}/ak`,
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "UsePAM no",
      "StrictModes no",
      "AcceptEnv GIT_PROTOCOL",
      "",
    ].join("\n"),
  );
  const server = spawn(sshdPath, ["-D", "-f", join(folder, "config"), "-E", join(folder, "log")], {
    stdio: "ignore",
  });
  await reachable(port);
  return {
    port,
    knownHosts: `[127.0.0.1]:${port} ${read("host.pub").split(" ").slice(0, 2).join(" ")}\n`,
    privateKey: read("deploy"),
    strangersKey: read("stranger"),
    async close() {
      const ended = new Promise((resolve) => server.once("exit", resolve));
      server.kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function reachable(port: number): Promise<void> {
  const until = performance.now() + 10_000;
  for (;;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (open) return;
    if (performance.now() > until) throw new Error(`nothing listens on port ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
