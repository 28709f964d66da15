/**
 * Which server, and as whom: `--url/--token`, else `--profile`, else AIRLOCK_URL/AIRLOCK_TOKEN, else the profile
 * that `airlock auth login` wrote, else the server that runs on this machine's own home.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { isObject } from "../model/json.ts";
import { findHome, readServerInfo } from "./home.ts";
import { unreachable, wrongUse } from "./problem.ts";

export type Profile = { readonly url: string; readonly token?: string };
export type Wish = { readonly url?: string; readonly token?: string; readonly profile?: string };

export type Profiles = { current: string; readonly profiles: { [name: string]: Profile } };

export function chooseProfile(wish: Wish, env: NodeJS.ProcessEnv = process.env): Profile {
  const found = withoutToken(wish, env);
  const token = wish.token ?? found.token;
  return { url: readUrl(found.url), ...(token === undefined ? {} : { token }) };
}

function withoutToken(wish: Wish, env: NodeJS.ProcessEnv): Profile {
  const known = readProfiles(env);
  if (wish.url !== undefined) {
    // A token goes only where it came from: never to another address that was named on the command line.
    const url = readUrl(wish.url);
    const same = [...sessions(env), ...Object.values(known.profiles), ...localProfile(env)].find(
      (profile) => profile.url === url && profile.token !== undefined,
    );
    return { url, ...(same?.token === undefined ? {} : { token: same.token }) };
  }
  if (wish.profile !== undefined) {
    const named = known.profiles[wish.profile];
    if (named) return named;
    throw wrongUse(
      `there is no profile ${JSON.stringify(wish.profile)}`,
      `make it: airlock auth login --profile ${wish.profile} --url https://…`,
    );
  }
  const [first] = [
    ...sessions(env),
    ...Object.values(known.profiles).filter(
      (_, at) => Object.keys(known.profiles)[at] === known.current,
    ),
    ...localProfile(env),
  ];
  if (first) return first;
  throw unreachable(
    "no server is known",
    "start one here (npm start), or sign in: airlock auth login --url https://…",
  );
}

const sessions = (env: NodeJS.ProcessEnv): Profile[] => {
  const url = env["AIRLOCK_URL"];
  const token = env["AIRLOCK_TOKEN"];
  if (url === undefined || url === "") {
    const [local] = token === undefined || token === "" ? [] : localProfile(env);
    return local === undefined || token === undefined ? [] : [{ url: local.url, token }];
  }
  return [{ url: readUrl(url), ...(token === undefined || token === "" ? {} : { token }) }];
};

/** What a running `npm start` left in its home. Its port may have changed since: server.json knows. */
function localProfile(env: NodeJS.ProcessEnv): Profile[] {
  const home = findHome(env);
  const server = readServerInfo(home);
  const raw = readJson(join(home, "local-profile.json"));
  const url =
    server?.url ?? (isObject(raw) && typeof raw["url"] === "string" ? raw["url"] : undefined);
  if (url === undefined) return [];
  const token = isObject(raw) && typeof raw["token"] === "string" ? raw["token"] : undefined;
  return [{ url: trimmed(url), ...(token === undefined ? {} : { token }) }];
}

export function readUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw wrongUse(
      `${JSON.stringify(text)} is not an address`,
      "write https://airlock.example.org",
    );
  }
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw wrongUse(`${JSON.stringify(text)} must begin with http:// or https://`);
  if (url.username !== "" || url.password !== "")
    throw wrongUse("the address must not contain a password", "use --token or airlock auth login");
  return trimmed(url.href);
}

const trimmed = (url: string): string => url.replace(/\/+$/, "");

const profilesFile = (env: NodeJS.ProcessEnv): string =>
  join(env["XDG_CONFIG_HOME"] ?? join(homedir(), ".config"), "airlock", "profiles.json");

export function readProfiles(env: NodeJS.ProcessEnv = process.env): Profiles {
  const raw = readJson(profilesFile(env));
  const profiles: { [name: string]: Profile } = {};
  if (isObject(raw) && isObject(raw["profiles"]))
    for (const [name, one] of Object.entries(raw["profiles"]))
      if (isObject(one) && typeof one["url"] === "string")
        profiles[name] = {
          url: one["url"],
          ...(typeof one["token"] === "string" ? { token: one["token"] } : {}),
        };
  const current = isObject(raw) && typeof raw["current"] === "string" ? raw["current"] : "default";
  return { current, profiles };
}

/** Mode 0600, in place at once: a crash leaves the old one. */
export function writeProfiles(profiles: Profiles, env: NodeJS.ProcessEnv = process.env): string {
  const file = profilesFile(env);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const part = `${file}.${process.pid}`;
  try {
    writeFileSync(part, `${JSON.stringify(profiles, null, 2)}\n`, { mode: 0o600 });
    chmodSync(part, 0o600);
    renameSync(part, file);
  } finally {
    rmSync(part, { force: true });
  }
  return file;
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}
