/** What a commit holds, under bounds, before anything of it touches the disk. */
import { type Answer, bad, good } from "../../platform/model/answer.ts";
import type { CommitId } from "../../platform/model/ids.ts";
import { streamGit } from "./run-git.ts";

export type TreeFile = {
  readonly path: string;
  /** git's object id of the content: the content hash. */
  readonly blob: string;
  readonly bytes: number;
  readonly executable: boolean;
};

/** An entry that was left out, and why. */
export type PathProblem = {
  readonly path: string;
  readonly message: string;
  readonly hint: string;
};

export type Tree = {
  readonly files: readonly TreeFile[];
  readonly problems: readonly PathProblem[];
};

export type TreeBounds = {
  readonly files: number;
  readonly fileBytes: number;
  readonly totalBytes: number;
  readonly pathCharacters: number;
  readonly depth: number;
};

export type TreeProblem = {
  readonly kind: "no_such_path" | "too_many_files" | "too_large" | "unreadable";
  readonly message: string;
  readonly hint: string;
};

const pathProblemsMax = 100;

/** `path` is the deployed subdirectory ("" the root), already read by `readFolder`; answers are relative to it. */
export async function listTree(
  repository: string,
  commit: CommitId,
  path: string,
  bounds: TreeBounds,
  signal?: AbortSignal,
): Promise<Answer<Tree, TreeProblem>> {
  const reading = startReading(bounds);
  let rest: Buffer = Buffer.alloc(0);
  const end = await streamGit(
    {
      repository,
      args: ["ls-tree", "-r", "-l", "-z", "--full-tree", "--end-of-options", `${commit}:${path}`],
      deadlineMs: 30_000,
      outputBytesMax: 64 * 1024 * 1024,
      ...(signal ? { signal } : {}),
    },
    (chunk) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (let at = rest.indexOf(0); at >= 0; at = rest.indexOf(0)) {
        reading.entry(rest.subarray(0, at));
        rest = rest.subarray(at + 1);
        if (reading.overflow()) return "enough";
      }
      return "more";
    },
  );
  const overflow = reading.overflow();
  if (overflow) return bad(overflow);
  if (!end.ok) {
    if (end.problem.kind === "exit" && path !== "")
      return bad({
        kind: "no_such_path",
        message: `the folder ${path} does not exist in this commit`,
        hint: "create it, or correct the repository's path",
      });
    return bad({
      kind: "unreadable",
      message: `the commit cannot be read (${end.problem.kind})`,
      hint: "push again; if it stays, the repository is damaged",
    });
  }
  return good(reading.tree());
}

type Reading = {
  entry(raw: Buffer): void;
  overflow(): TreeProblem | undefined;
  tree(): Tree;
};

function startReading(bounds: TreeBounds): Reading {
  const files: TreeFile[] = [];
  const problems: PathProblem[] = [];
  const folded = new Map<string, string>();
  let entries = 0;
  let totalBytes = 0;
  let left = 0;
  const leaveOut = (path: string, message: string, hint: string): void => {
    if (problems.length < pathProblemsMax) problems.push({ path: printable(path), message, hint });
    else left += 1;
  };

  return {
    entry(raw) {
      entries += 1;
      const tab = raw.indexOf(9);
      const [mode = "", , blob = "", size = ""] = raw
        .subarray(0, tab)
        .toString("latin1")
        .split(/ +/);
      const path = raw.subarray(tab + 1).toString("utf8");
      const fault = faultOf(mode, path, raw.length - tab - 1, bounds);
      if (fault) {
        leaveOut(path, fault.message, fault.hint);
        return;
      }
      const bytes = Number(size);
      if (bytes > bounds.fileBytes) {
        leaveOut(
          path,
          `has ${megabytes(bytes)}; a file may have ${megabytes(bounds.fileBytes)}`,
          "keep data in an object store, not in git",
        );
        return;
      }
      const clash = clashWith(folded, path);
      if (clash !== undefined) {
        leaveOut(path, `differs from ${clash} only in upper and lower case`, "rename one of them");
        return;
      }
      totalBytes += bytes;
      files.push({ path, blob, bytes, executable: mode === "100755" });
    },
    overflow() {
      if (entries > bounds.files)
        return {
          kind: "too_many_files",
          message: `the commit has more than ${bounds.files} files`,
          hint: "deploy a subdirectory of it, or keep data elsewhere",
        };
      if (totalBytes > bounds.totalBytes)
        return {
          kind: "too_large",
          message: `the files of the commit have more than ${megabytes(bounds.totalBytes)}`,
          hint: "deploy a subdirectory of it, or keep data elsewhere",
        };
      return undefined;
    },
    tree: () => ({
      files,
      problems:
        left === 0
          ? problems
          : [
              ...problems,
              {
                path: "",
                message: `${left} further entries were left out`,
                hint: "see the ones before",
              },
            ],
    }),
  };
}

const megabytes = (bytes: number): string => `${Number((bytes / 1024 / 1024).toFixed(1))} MiB`;

function faultOf(
  mode: string,
  path: string,
  pathBytes: number,
  bounds: TreeBounds,
): { readonly message: string; readonly hint: string } | undefined {
  if (mode === "120000")
    return {
      message: "is a symbolic link; links are not followed",
      hint: "put a copy of the file there",
    };
  if (mode === "160000")
    return {
      message: "is a submodule; submodules are not fetched",
      hint: "copy its files into the repository",
    };
  if (mode !== "100644" && mode !== "100755" && mode !== "100664")
    return {
      message: `has the unknown file mode ${printable(mode)}`,
      hint: "add it again with a current git",
    };
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  if (/[\u0000-\u001f\u007f\u0080-\u009f\u2028\u2029]/.test(path) || path.includes("\ufffd"))
    return { message: "has control characters or broken UTF-8 in its name", hint: "rename it" };
  const parts = path.split("/");
  if (
    path.includes("\\") ||
    parts.some((part) => part === "" || part === "." || part === ".." || isDotGit(part))
  )
    return { message: "has a name that would leave its folder", hint: "rename it" };
  if (pathBytes > bounds.pathCharacters)
    return {
      message: `has a path of more than ${bounds.pathCharacters} characters`,
      hint: "shorten it",
    };
  if (parts.some((part) => Buffer.byteLength(part) > 255))
    return { message: "has a name of more than 255 characters", hint: "shorten it" };
  if (parts.length > bounds.depth)
    return { message: `lies more than ${bounds.depth} folders deep`, hint: "move it up" };
  return undefined;
}

/** `.git` in any case, with HFS's ignorable characters, NTFS's trailing dots and short name. */
const isDotGit = (part: string): boolean =>
  /^(\.git|git~\d+)$/i.test(
    part
      .replace(/[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g, "")
      .replace(/[. ]+$/, "")
      .replace(/:.*$/, ""),
  );

/**
 * The earlier path that this one would fall onto where case does not count. Folders count too:
 * `Dags/a` and `dags/b` would meet.
 */
function clashWith(folded: Map<string, string>, path: string): string | undefined {
  const parts = path.split("/");
  for (let depth = 1; depth <= parts.length; depth++) {
    const part = parts.slice(0, depth).join("/");
    const key = part.normalize("NFC").toLowerCase();
    const earlier = folded.get(key);
    if (earlier !== undefined && earlier !== part) return earlier;
    if (earlier === undefined) folded.set(key, part);
  }
  return undefined;
}

const printable = (text: string): string =>
  // oxlint-disable-next-line no-control-regex -- control characters are what it replaces
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, "?").slice(0, 400);
