/** What a tenant's repository is: where it lives, which branch and folder of it are deployed. */
import { type Answer, bad, good } from "../../platform/model/answer.ts";
import { isObject } from "../../platform/model/json.ts";

export type RepositorySettings = {
  readonly origin:
    | { readonly kind: "hosted" }
    | { readonly kind: "external"; readonly url: string };
  readonly branch: string;
  /** Subdirectory that is this repository for Airlock (a mono-repo serves several tenants); "" is the root. */
  readonly path: string;
};

export type SettingProblem = { readonly field: string; readonly message: string };

/**
 * `{url?, branch?, path?}` as the API and the command send it; no url: a repository of the built-in host.
 * The url is only bounded here; whether it may be fetched is `readGitAddress`'s answer.
 */
export function readRepositorySettings(raw: unknown): Answer<RepositorySettings, SettingProblem> {
  if (!isObject(raw)) return bad({ field: "body", message: "must be an object" });
  const { url, branch = "main", path = "" } = raw;
  if (
    url !== undefined &&
    url !== null &&
    (typeof url !== "string" || url === "" || url.length > 1000)
  )
    return bad({
      field: "url",
      message: "url must be an https:// or ssh:// address of at most 1000 characters",
    });
  const name = readBranch(branch);
  if (!name.ok) return bad({ field: "branch", message: `branch ${name.problem}` });
  const folder = readFolder(path);
  if (!folder.ok) return bad({ field: "path", message: `path ${folder.problem}` });
  return good({
    origin: typeof url === "string" ? { kind: "external", url } : { kind: "hosted" },
    branch: name.value,
    path: folder.value,
  });
}

/** git's own rule for branch names (git-check-ref-format), and never one that looks like an option. */
export function readBranch(raw: unknown): Answer<string, string> {
  if (typeof raw !== "string" || raw === "") return bad("must be a branch name");
  if (raw.length > 200) return bad("must be at most 200 characters");
  if (raw.startsWith("-")) return bad("must not begin with a dash");
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  const forbidden = /[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|\/\/|^\/|\/$|\.$|^@$/;
  const parts = raw.split("/");
  if (forbidden.test(raw) || parts.some((part) => part.startsWith(".") || part.endsWith(".lock")))
    return bad("is not a name that git allows for a branch");
  return good(raw);
}

/** A folder inside the repository, without slashes at its ends; "" or "." is the root. */
export function readFolder(raw: unknown): Answer<string, string> {
  if (typeof raw !== "string") return bad("must be a path");
  const folder = raw.replace(/^\.\/|\/+$/g, "");
  if (folder === "" || folder === ".") return good("");
  if (folder.length > 400) return bad("must be at most 400 characters");
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  if (/[\u0000-\u001f\u007f\\:]/.test(folder))
    return bad("must not contain control characters, colons or backslashes");
  const parts = folder.split("/");
  if (
    parts.some(
      (part) => part === "" || part === "." || part === ".." || part.toLowerCase() === ".git",
    )
  )
    return bad("must stay inside the repository");
  return good(folder);
}
