import { hostname } from "node:os";
import { createInterface } from "node:readline/promises";
import { isObject } from "../../model/json.ts";
import { askSecret } from "../ask-secret.ts";
import { openServer, platformPath } from "../ask-server.ts";
import { columns, printAnswer, tell } from "../print-answer.ts";
import { failed, unreachable, wrongUse } from "../problem.ts";
import { chooseProfile, readProfiles, readUrl, writeProfiles } from "../profiles.ts";
import type { Shared } from "../verb-options.ts";
import { text } from "./find-run.ts";

const tokenDays = 90;

/** With a name and password: a token of one's own is made on the server, and that is what is kept, never the password. */
export async function login(
  options: Shared & { readonly username?: string; readonly passwordStdin?: true },
): Promise<void> {
  const name = options.profile ?? "default";
  const known = readProfiles();
  const url = readUrl(options.url ?? known.profiles[name]?.url ?? chooseProfile({}).url);
  const token = options.token ?? (await makeToken(url, options.username));
  const who = await openServer({ url, token }).get(platformPath("session"));
  const file = writeProfiles({
    current: name,
    profiles: { ...known.profiles, [name]: { url, token } },
  });
  tell(`signed in at ${url} as ${text(who, "name")}; the profile ${name} lies in ${file}`);
  if (options.output !== "table")
    await printAnswer({ profile: name, url, name: text(who, "name") }, options.output, []);
}

async function makeToken(url: string, username: string | undefined): Promise<string> {
  const person = username ?? (await askName());
  const password = await askSecret(`Password of ${person}`, false);
  const signedIn = await post(url, "session", { username: person, password });
  const cookie = signedIn.headers.get("set-cookie")?.split(";")[0];
  if (cookie === undefined) throw unreachable(`${url} does not answer as an Airlock server`);
  const made = await post(
    url,
    "tokens",
    { name: `airlock on ${hostname()}`, expires_in_days: tokenDays },
    cookie,
  );
  const answer: unknown = await made.json();
  // The session was only there to make the token.
  await fetch(`${url}${platformPath("session")}`, {
    method: "DELETE",
    headers: { cookie, origin: new URL(url).origin },
  }).catch(() => undefined);
  return text(answer, "token");
}

async function post(
  url: string,
  what: "session" | "tokens",
  body: object,
  cookie?: string,
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`${url}${platformPath(what)}`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(cookie === undefined ? {} : { cookie, origin: new URL(url).origin }),
      },
      body: JSON.stringify(body),
      redirect: "manual",
    });
  } catch (error) {
    throw unreachable(
      `${url} does not answer: ${error instanceof Error ? String((error.cause as Error | undefined)?.message ?? error.message) : ""}`,
    );
  }
  if (response.ok) return response;
  const answer: unknown = await response.json().catch(() => undefined);
  const detail =
    isObject(answer) && typeof answer["detail"] === "string"
      ? answer["detail"]
      : String(response.status);
  throw response.status === 401 || response.status === 429
    ? unreachable(`cannot sign in at ${url}: ${detail}`)
    : failed(`${url}: ${detail}`);
}

async function askName(): Promise<string> {
  if (!process.stdin.isTTY)
    throw wrongUse("who is to sign in?", "give --username, and the password on standard input");
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await lines.question("User name: ");
  } finally {
    lines.close();
  }
}

export async function logout(options: Shared): Promise<void> {
  const known = readProfiles();
  const name = options.profile ?? known.current;
  const profile = known.profiles[name];
  if (profile === undefined) throw wrongUse(`there is no profile ${JSON.stringify(name)}`);
  const { [name]: _, ...rest } = known.profiles;
  writeProfiles({ current: known.current === name ? "default" : known.current, profiles: rest });
  tell(
    `forgot ${name}; revoke its token where it was made: airlock tokens list, airlock tokens revoke ID`,
  );
}

export async function status(options: Shared): Promise<void> {
  const profile = chooseProfile(options);
  const who = await openServer(profile).get(platformPath("session"));
  await printAnswer(
    { url: profile.url, ...(isObject(who) ? who : {}) },
    options.output,
    columns("url", "name", "groups", "is_platform_admin"),
  );
}
