/** Pushes and fetches leave packs and loose objects behind; past so many they are made one. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { runGit } from "./run-git.ts";

const packsMax = 40;
/** In one of the 256 folders of loose objects; git's own estimate. */
const looseMax = 27;

/**
 * `prune`: how old an object that nothing reaches must be to go. A mirror's may go now (the caller holds the
 * lease); of a hosted repository a push may be about to name one. A failure changes nothing but disk space.
 */
export async function tidyRepository(
  repository: string,
  prune: "now" | "2.weeks.ago",
): Promise<"tidy" | "tidied" | "failed"> {
  const packs = await readdir(join(repository, "objects/pack")).catch(() => []);
  const loose = await readdir(join(repository, "objects/17")).catch(() => []);
  const isTidy = packs.filter((name) => name.endsWith(".pack")).length <= packsMax;
  if (isTidy && loose.length <= looseMax) return "tidy";
  const done = await runGit({
    repository,
    args: ["gc", "--quiet", `--prune=${prune}`],
    deadlineMs: 300_000,
    fileBytesMax: 4 * 1024 * 1024 * 1024,
  });
  return done.ok ? "tidied" : "failed";
}
