/** One branch of a stranger's repository into our bare mirror: its newest commit alone, checked by fsck. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Answer, bad } from "../../platform/model/answer.ts";
import { type CommitId, readCommitId } from "../../platform/model/ids.ts";
import { type GitCredentials, withCredentials } from "./credentials.ts";
import type { ReachableAddress } from "./git-address.ts";
import { openLanes } from "./lanes.ts";
import { type GitProblem, type GitRequest, runGit } from "./run-git.ts";
import { tidyRepository } from "./tidy-repository.ts";

export type Remote = {
  readonly address: ReachableAddress;
  /** Already read by `readBranch`. */
  readonly branch: string;
  readonly credentials: GitCredentials;
  /** For credentials while git runs; mode 0700, best in memory. */
  readonly temporaryDir: string;
  readonly caFile?: string;
  readonly deadlineMs?: number;
  /** No pack may be larger. Default 512 MiB. */
  readonly packBytesMax?: number;
  readonly signal?: AbortSignal;
};

export type FetchProblem = {
  readonly kind:
    | "refused_address"
    | "unreachable"
    | "not_found"
    | "sign_in_refused"
    | "host_key"
    | "no_such_branch"
    | "hostile_objects"
    | "too_large"
    | "too_slow"
    | "broken_off"
    | "stopped"
    | "other";
  readonly message: string;
  readonly hint: string;
};

/**
 * The caller holds the repository's lease: locks that an earlier fetch left behind are removed, not
 * waited for. A mirror that git cannot read any more is made again from nothing, once.
 */
export async function fetchBranch(
  mirror: string,
  remote: Remote,
): Promise<Answer<CommitId, FetchProblem>> {
  await ensureMirror(mirror);
  await removeStaleLocks(mirror);
  const first = await fetchOnce(mirror, remote);
  if (first.ok || !isCorrupt(first.problem)) return first;
  await rm(mirror, { recursive: true, force: true });
  await ensureMirror(mirror);
  return fetchOnce(mirror, remote);
}

/** One commit by its id, where the server gives it (the large hosts do). For checkouts that must be made again. */
export async function fetchCommit(
  mirror: string,
  remote: Remote,
  commit: CommitId,
): Promise<Answer<CommitId, FetchProblem>> {
  await ensureMirror(mirror);
  await removeStaleLocks(mirror);
  return fetchOnce(mirror, remote, commit);
}

/** The branch's commit on the server, without fetching: what polling asks. */
export async function askHead(remote: Remote): Promise<Answer<CommitId, FetchProblem>> {
  const listed = await overNetwork(remote, {
    args: ["ls-remote", "--quiet", "--", remote.address.url, `refs/heads/${remote.branch}`],
    outputBytesMax: 64 * 1024,
  });
  if (!listed.ok) return listed;
  const line = listed.value
    .toString("utf8")
    .split("\n")
    .find((text) => text.endsWith(`\trefs/heads/${remote.branch}`));
  const commit = readCommitId(line?.split("\t")[0]);
  return commit.ok ? commit : bad(noSuchBranch(remote.branch));
}

export const mirrorHead = "refs/airlock/head";

async function fetchOnce(
  mirror: string,
  remote: Remote,
  commit?: CommitId,
): Promise<Answer<CommitId, FetchProblem>> {
  const kept = commit === undefined ? mirrorHead : `refs/airlock/commit/${commit}`;
  const fetched = await overNetwork(remote, {
    repository: mirror,
    args: [
      "fetch",
      "--quiet",
      "--depth=1",
      "--no-tags",
      "--force",
      "--no-recurse-submodules",
      "--no-auto-maintenance",
      "--no-write-fetch-head",
      "--",
      remote.address.url,
      `+${commit ?? `refs/heads/${remote.branch}`}:${kept}`,
    ],
  });
  if (!fetched.ok) {
    // git only says that its index-pack went away; the half pack tells why.
    const full = await hasFullPack(mirror, remote.packBytesMax ?? packBytesDefault);
    await removeStaleLocks(mirror);
    return full ? bad(tooLarge) : fetched;
  }
  const head = await resolveCommit(mirror, kept);
  if (!head.ok)
    return bad({
      kind: "not_found",
      message: "the branch does not point to a commit",
      hint: "push a commit to it",
    });
  await tidyRepository(mirror, "now");
  return head;
}

async function hasFullPack(mirror: string, bytesMax: number): Promise<boolean> {
  const folder = join(mirror, "objects/pack");
  for (const name of await readdir(folder).catch(() => []))
    if (name.startsWith("tmp_pack_") && (await stat(join(folder, name))).size >= bytesMax)
      return true;
  return false;
}

const packBytesDefault = 512 * 1024 * 1024;
const tooLarge: FetchProblem = {
  kind: "too_large",
  message: "the repository is larger than allowed",
  hint: "remove large files from it, or ask an admin for a higher limit",
};

/** A full ref name, or a full commit id, to the commit it means. */
export async function resolveCommit(
  repository: string,
  ref: string,
): Promise<Answer<CommitId, "unknown">> {
  const shown = await runGit({
    repository,
    args: ["rev-parse", "--verify", "--quiet", "--end-of-options", `${ref}^{commit}`],
    deadlineMs: 10_000,
  });
  const commit = shown.ok ? readCommitId(shown.value.toString("utf8").trim()) : shown;
  return commit.ok ? commit : bad("unknown");
}

const byHost = openLanes({ total: 16, perKey: 4 });

async function overNetwork(
  remote: Remote,
  request: GitRequest,
): Promise<Answer<Buffer, FetchProblem>> {
  const leave = await byHost.enter(remote.address.host, remote.signal).catch(() => undefined);
  if (!leave) return bad(stopped);
  try {
    const answer = await withCredentials(
      remote.address,
      remote.credentials,
      {
        temporaryDir: remote.temporaryDir,
        ...(remote.caFile === undefined ? {} : { caFile: remote.caFile }),
      },
      (access) =>
        runGit({
          ...request,
          env: { ...request.env, ...access.env },
          config: access.config,
          deadlineMs: remote.deadlineMs ?? 60_000,
          fileBytesMax: remote.packBytesMax ?? packBytesDefault,
          ...(remote.signal ? { signal: remote.signal } : {}),
        }),
    );
    if (!answer.ok) return answer;
    return answer.value.ok ? answer.value : bad(explain(answer.value.problem, remote));
  } finally {
    leave();
  }
}

const stopped: FetchProblem = {
  kind: "stopped",
  message: "the fetch was stopped",
  hint: "it is tried again",
};
const noSuchBranch = (branch: string): FetchProblem => ({
  kind: "no_such_branch",
  message: `the branch ${branch} does not exist on the server`,
  hint: "push it, or set the repository's branch to one that exists; what is live stays live",
});

/** git's words (LC_ALL=C) → a problem with a way out. Never the raw text first: it may carry what a server sent. */
function explain(problem: GitProblem, { address, branch }: Remote): FetchProblem {
  switch (problem.kind) {
    case "aborted":
      return stopped;
    case "deadline":
      return {
        kind: "too_slow",
        message: `${address.host} did not deliver within ${Math.round(problem.ms / 1000)} s`,
        hint: "it is tried again; a smaller repository or a nearer host helps",
      };
    case "output_too_large":
      return {
        kind: "too_large",
        message: "the server lists too many branches",
        hint: "use a repository with fewer",
      };
    case "exit":
  }
  const said = problem.message;
  const found = readings.find(([pattern]) => pattern.test(said));
  if (!found)
    return {
      kind: "other",
      message: `git: ${shortened(said)}`,
      hint: "it is tried again; if it stays, an admin finds more in the log",
    };
  const [, kind, message, hint] = found;
  if (kind === "no_such_branch") return noSuchBranch(branch);
  return {
    kind,
    message: message.replace("{host}", address.host).replace("{said}", shortened(said)),
    hint,
  };
}

const readings: readonly (readonly [RegExp, FetchProblem["kind"], string, string])[] = [
  [/couldn't find remote ref|Remote branch .* not found/i, "no_such_branch", "", ""],
  [
    /Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/i,
    "host_key",
    "{host} shows another host key than the pinned one",
    "if the host changed its key on purpose, pin the new one; otherwise somebody may be in between",
  ],
  [
    /Permission denied|Authentication failed|could not read (Username|Password)|error: 40[13]\b|invalid (key|format)|error in libcrypto/i,
    "sign_in_refused",
    "{host} refused the credentials",
    "check that the token or deploy key is valid and may read this repository",
  ],
  [
    /fsck|hasDot|fullPathname|zeroPaddedFilemode|bad object|gitmodules|invalid path/i,
    "hostile_objects",
    "the repository holds objects that git refuses: {said}",
    "rewrite the history without them",
  ],
  [
    /No space left/i,
    "other",
    "this machine's disk is full",
    "an admin must make room; what is live stays live",
  ],
  [
    /not found|does not appear to be a git repository|error: 404|Repository not found|does not exist/i,
    "not_found",
    "{host} has no such repository, or does not show it to these credentials",
    "check the address and the credentials",
  ],
  [
    /Operation too slow|timed out|less than \d+ bytes/i,
    "too_slow",
    "{host} is too slow",
    "it is tried again",
  ],
  [
    /early EOF|unexpected disconnect|RPC failed|hung up|transfer closed|incomplete|Empty reply|unpack-objects|index-pack|protocol error|bad line length|invalid server response/i,
    "broken_off",
    "the connection to {host} broke off",
    "it is tried again",
  ],
  [
    /unable to access|Could not resolve|Connection refused|unable to connect|No route|certificate|Connection (reset|closed)|redirect/i,
    "unreachable",
    "{host} cannot be reached: {said}",
    "check the address; redirects are not followed",
  ],
];

/** One line, no control characters, no credentials that a server might echo in an address. */
const shortened = (said: string): string =>
  (said.split("\n").findLast((line) => /^(fatal|error|remote):/.test(line)) ?? said)
    .replace(/\/\/[^/@\s]*@/g, "//")
    // oxlint-disable-next-line no-control-regex -- control characters are what it removes
    .replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ")
    .slice(0, 300);

const isCorrupt = (problem: FetchProblem): boolean =>
  problem.kind === "other" &&
  /not a git repository|object file .* is empty|is corrupt|bad config|shallow file has changed|packfile .* cannot be/i.test(
    problem.message,
  );

async function ensureMirror(mirror: string): Promise<void> {
  if (existsSync(join(mirror, "HEAD"))) return;
  await mkdir(dirname(mirror), { recursive: true });
  await rm(mirror, { recursive: true, force: true });
  const fresh = await mkdtemp(join(dirname(mirror), ".fresh-"));
  const made = await runGit({
    args: ["init", "--quiet", "--bare", "--template=", "--initial-branch=airlock", fresh],
  });
  if (!made.ok) throw new Error(`cannot make the mirror ${mirror}`, { cause: made.problem });
  await rename(fresh, mirror);
}

async function removeStaleLocks(mirror: string): Promise<void> {
  const names = await readdir(mirror, { recursive: true });
  await Promise.all(
    names
      .filter((name) => /\.lock$|(^|\/)objects\/.*tmp_(pack|idx|obj)_/.test(name))
      .map((name) => rm(join(mirror, name), { force: true })),
  );
}
