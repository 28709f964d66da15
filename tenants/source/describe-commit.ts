/** What a commit says of itself, for people: who wrote it, its first line, when. */
import type { CommitId } from "../../platform/model/ids.ts";
import { runGit } from "./run-git.ts";

export async function describeCommit(
  repository: string,
  commit: CommitId,
): Promise<{ author: string; subject: string; at: string } | undefined> {
  const shown = await runGit({
    repository,
    args: [
      "log",
      "-1",
      "--no-show-signature",
      "--format=%aN%x00%s%x00%cI",
      "--end-of-options",
      commit,
    ],
    deadlineMs: 10_000,
    outputBytesMax: 1024 * 1024,
  });
  if (!shown.ok) return undefined;
  const [author = "", subject = "", at = ""] = shown.value.toString("utf8").trimEnd().split("\0");
  return { author: author.slice(0, 200), subject: subject.slice(0, 300), at };
}
