/** What a bare repository says of one commit, for people: who made it, and a file as it was. */
import { runGit, streamGit } from "./run-git.ts";

const isCommit = (text: string): boolean => /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/.test(text);
const deadlineMs = 10_000;
/** An author or a message may be of any length; the first of it is enough. */
const headBytesMax = 16 * 1024;
const textMax = 300;

export type DescribedCommit = {
  readonly author: string;
  readonly at: Date;
  readonly subject: string;
};

/** undefined: the repository does not have the commit. */
export async function describeCommit(
  repository: string,
  commit: string,
): Promise<DescribedCommit | undefined> {
  if (!isCommit(commit)) return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  const end = await streamGit(
    {
      repository,
      // The time comes first: what is cut off is the text.
      args: [
        "log",
        "-1",
        "--no-mailmap",
        "--no-show-signature",
        "--encoding=UTF-8",
        "--format=%cI%x00%an%x00%s",
        "--end-of-options",
        commit,
      ],
      deadlineMs,
    },
    (chunk) => {
      chunks.push(chunk);
      bytes += chunk.length;
      return bytes > headBytesMax ? "enough" : "more";
    },
  );
  if (!end.ok) return undefined;
  const [at = "", author = "", subject = ""] = Buffer.concat(chunks)
    .subarray(0, headBytesMax)
    .toString("utf8")
    .split("\0");
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return undefined;
  return { author: short(author), at: time, subject: short(subject.trimEnd()) };
}

/** Cut between whole characters, so that it stays text that JSON and a page can hold. */
const short = (text: string): string =>
  text.length > textMax ? `${text.slice(0, textMax - 1).toWellFormed()}…` : text;

const fileBytesMax = 4 * 1024 * 1024;

/** undefined: no such commit, no such file in it, or too large to show. */
export async function readCommitted(
  repository: string,
  commit: string,
  path: string,
): Promise<string | undefined> {
  if (!isCommit(commit) || path.split("/").includes("..")) return undefined;
  const read = await runGit({
    repository,
    args: ["cat-file", "blob", `${commit}:${path}`],
    deadlineMs,
    outputBytesMax: fileBytesMax,
  });
  return read.ok ? read.value.toString("utf8") : undefined;
}
