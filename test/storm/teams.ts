/** The teams: their tenants and repositories, and what they do all day: push and trigger, again and again until somebody answers. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Ran, run } from "../kit/house.ts";

export type Site = {
  readonly url: string;
  /** Of the server: where its token lies. */
  readonly home: string;
  readonly password: string;
  /** For checkouts. */
  readonly folder: string;
};

export type Asked = { readonly status: number; readonly body: unknown };

/** One question; status 0: nobody answered. */
export async function ask(
  site: Site,
  method: "GET" | "POST" | "PATCH",
  path: string,
  body?: object,
): Promise<Asked> {
  try {
    const { token } = JSON.parse(readFileSync(join(site.home, "local-profile.json"), "utf8")) as {
      token: string;
    };
    const response = await fetch(`${site.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(8_000),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? null : (JSON.parse(text) as unknown) };
  } catch {
    return { status: 0, body: null };
  }
}

/** Where it must succeed, in calm weather. */
export async function must(
  site: Site,
  method: "POST" | "PATCH",
  path: string,
  body: object,
): Promise<void> {
  const { status, body: answer } = await ask(site, method, path, body);
  if (status < 200 || status > 299)
    throw new Error(`${method} ${path}: ${status} ${JSON.stringify(answer)}`);
}

export type Checkout = {
  readonly tenant: string;
  readonly repository: string;
  /** The commit that the host has taken last; undefined: none. */
  readonly pushed: () => string | undefined;
  /**
   * Puts these files there (undefined: removes it) and pushes until the host has taken it. `anew`: history is
   * rewritten and forced. Answers whether it got there before `until`.
   */
  push(
    files: ReadonlyMap<string, string | undefined>,
    options: { readonly anew?: boolean; readonly until: () => boolean },
  ): Promise<boolean>;
};

export async function openCheckout(
  site: Site,
  tenant: string,
  repository: string,
): Promise<Checkout> {
  const folder = mkdtempSync(join(site.folder, `${tenant}-${repository}-`));
  const remote = new URL(`/git/${tenant}/${repository}.git`, site.url);
  remote.username = "admin";
  remote.password = site.password;
  const env = {
    ...process.env,
    GIT_TERMINAL_PROMPT: "0",
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_AUTHOR_NAME: "A team",
    GIT_AUTHOR_EMAIL: "team@example.org",
    GIT_COMMITTER_NAME: "A team",
    GIT_COMMITTER_EMAIL: "team@example.org",
  };
  const git = (...args: string[]): Promise<Ran> =>
    run("git", ["-C", folder, ...args], { env, timeoutMs: 20_000 });
  const sure = async (...args: string[]): Promise<string> => {
    const ran = await git(...args);
    if (ran.code !== 0) throw new Error(`git ${args.join(" ")}: ${ran.stderr}`);
    return ran.stdout.trim();
  };
  await sure("init", "--quiet", "--initial-branch=main");
  await sure("remote", "add", "origin", remote.href);
  let pushed: string | undefined;
  let n = 0;
  return {
    tenant,
    repository,
    pushed: () => pushed,
    async push(files, { anew = false, until }) {
      n += 1;
      if (anew && pushed !== undefined) {
        await sure("checkout", "--quiet", "--orphan", `anew-${n}`);
        await git("branch", "--delete", "--force", "main");
        await sure("branch", "-m", "main");
      }
      for (const [path, text] of files) {
        if (text === undefined) rmSync(join(folder, path), { force: true });
        else {
          mkdirSync(dirname(join(folder, path)), { recursive: true });
          writeFileSync(join(folder, path), text);
        }
      }
      await sure("add", "--all");
      await sure("commit", "--quiet", "--allow-empty", "--message", `change ${n}`);
      const commit = await sure("rev-parse", "HEAD");
      for (; until(); await pause(300)) {
        const ran = await git("push", "--force", "origin", "HEAD:main");
        // It may have taken it and died before it said so: "Everything up-to-date" says that it has it.
        if (ran.code === 0) {
          pushed = commit;
          return true;
        }
      }
      return false;
    },
  };
}

export type Triggered = {
  readonly tenant: string;
  readonly dag: string;
  readonly run_id: string;
};

/** Asks for a run under an id of its own until somebody has said that it is there. `gone`: there is no such DAG (any more). */
export async function trigger(
  site: Site,
  run: Triggered,
  until: () => boolean,
): Promise<"there" | "gone" | "unknown"> {
  for (; until(); await pause(100)) {
    const { status } = await ask(site, "POST", `/t/${run.tenant}/api/v2/dags/${run.dag}/dagRuns`, {
      dag_run_id: run.run_id,
      logical_date: null,
    });
    // 409: made by a question whose answer was lost.
    if (status === 200 || status === 409) return "there";
    if (status === 404) return "gone";
  }
  return "unknown";
}
