/**
 * Credentials for one git command, in a folder that exists only while it runs. Never an argument, an
 * address or an environment value: git asks our one-shot program, ssh reads a key file of mode 0600.
 */
import { createHmac } from "node:crypto";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Answer, bad, good } from "../../platform/model/answer.ts";
import type { ReachableAddress } from "./git-address.ts";

export type GitCredentials =
  | { readonly kind: "none" }
  | { readonly kind: "token"; readonly username: string; readonly token: string }
  | {
      readonly kind: "deploy_key";
      /** OpenSSH or PEM, without passphrase. */
      readonly privateKey: string;
      /** Lines of known_hosts (as ssh-keyscan prints them); the host must be among them. */
      readonly knownHosts: string;
    };

export type CredentialProblem = {
  readonly kind: "host_key" | "sign_in_refused";
  readonly message: string;
  readonly hint: string;
};

export type GitAccess = {
  readonly env: { readonly [name: string]: string };
  readonly config: readonly string[];
};

/** `caFile`: the machine's certificate bundle, where it is not git's own. */
export async function withCredentials<T>(
  address: ReachableAddress,
  credentials: GitCredentials,
  place: { readonly temporaryDir: string; readonly caFile?: string },
  work: (access: GitAccess) => Promise<T>,
): Promise<Answer<T, CredentialProblem>> {
  await mkdir(place.temporaryDir, { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(join(place.temporaryDir, "access-"));
  try {
    const access =
      address.scheme === "ssh"
        ? await sshAccess(folder, address, credentials)
        : good(await httpAccess(folder, address, credentials, place.caFile));
    return access.ok ? good(await work(access.value)) : access;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function httpAccess(
  folder: string,
  address: ReachableAddress,
  credentials: GitCredentials,
  caFile: string | undefined,
): Promise<GitAccess> {
  const pin =
    address.pinned === undefined || address.pinned === address.host
      ? []
      : [
          `http.curloptResolve=${address.host}:${address.port}:${address.pinned.includes(":") ? `[${address.pinned}]` : address.pinned}`,
        ];
  const env: Record<string, string> = { GIT_ALLOW_PROTOCOL: address.scheme };
  if (credentials.kind === "token") {
    const program = join(folder, "askpass");
    await writeFile(join(folder, "username"), credentials.username, { mode: 0o600 });
    await writeFile(join(folder, "password"), credentials.token, { mode: 0o600 });
    await writeFile(program, askpass);
    await chmod(program, 0o700);
    env["GIT_ASKPASS"] = program;
  }
  return { env, config: [...pin, ...(caFile === undefined ? [] : [`http.sslCAInfo=${caFile}`])] };
}

/** Each answer is given once: a second question means the first answer was refused. */
const askpass = `#!/bin/sh
here=\${0%/*}
case "$1" in
  Username*) file="$here/username" ;;
  *) file="$here/password" ;;
esac
[ -f "$file" ] || exit 1
cat "$file" && rm -f "$file"
`;

async function sshAccess(
  folder: string,
  address: ReachableAddress,
  credentials: GitCredentials,
): Promise<Answer<GitAccess, CredentialProblem>> {
  if (credentials.kind !== "deploy_key")
    return bad({
      kind: "sign_in_refused",
      message: `${address.host} needs a deploy key`,
      hint: "add a deploy key to the repository's settings here and on its host",
    });
  const keys = hostKeysOf(credentials.knownHosts, address.host, address.port);
  if (keys.length === 0)
    return bad({
      kind: "host_key",
      message: `no host key of ${address.host} is pinned`,
      hint: `add the output of ssh-keyscan ${address.port === 22 ? "" : `-p ${address.port} `}${address.host} after comparing it with what the host publishes`,
    });
  const keyFile = join(folder, "key");
  const knownHosts = join(folder, "known_hosts");
  await writeFile(keyFile, `${credentials.privateKey.replaceAll("\r\n", "\n").trimEnd()}\n`, {
    mode: 0o600,
  });
  await writeFile(knownHosts, keys.map((key) => `${pinnedName} ${key}\n`).join(""), {
    mode: 0o600,
  });
  const options = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    `UserKnownHostsFile=${knownHosts}`,
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "PasswordAuthentication=no",
    "KbdInteractiveAuthentication=no",
    "ForwardAgent=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "ProxyCommand=none",
    "ConnectTimeout=10",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=2",
    `HostKeyAlias=${pinnedName}`,
    ...(address.pinned === undefined ? [] : [`HostName=${address.pinned}`]),
  ];
  const command = [
    "ssh",
    "-F",
    "/dev/null",
    "-i",
    quoted(keyFile),
    ...options.flatMap((option) => ["-o", quoted(option)]),
  ];
  return good({
    env: { GIT_ALLOW_PROTOCOL: "ssh", GIT_SSH_COMMAND: command.join(" "), GIT_SSH_VARIANT: "ssh" },
    config: [],
  });
}

/** ssh looks the key up under this name, so that the pinned address and a port change nothing. */
const pinnedName = "airlock-pinned";
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** Keys (`type base64`) that known_hosts lines hold for this host, hashed names included. */
export function hostKeysOf(knownHosts: string, host: string, port: number): string[] {
  const names = port === 22 ? [host, `[${host}]:22`] : [`[${host}]:${port}`];
  return knownHosts
    .split(/\r?\n/)
    .slice(0, 500)
    .flatMap((line) => {
      // Markers (@revoked, @cert-authority) are left out: what is pinned here is a plain key.
      const match = /^([^@#\s]\S*)\s+((?:ssh|ecdsa|sk)-[\w@.-]+)\s+([A-Za-z0-9+/=]+)/.exec(
        line.trim(),
      );
      if (!match) return [];
      const [, hosts = "", type = "", key = ""] = match;
      return hosts.split(",").some((pattern) => names.some((name) => isNamed(pattern, name)))
        ? [`${type} ${key}`]
        : [];
    });
}

function isNamed(pattern: string, name: string): boolean {
  const hashed = /^\|1\|([A-Za-z0-9+/=]+)\|([A-Za-z0-9+/=]+)$/.exec(pattern);
  if (!hashed) return pattern.toLowerCase() === name;
  return (
    createHmac("sha1", Buffer.from(hashed[1] ?? "", "base64"))
      .update(name)
      .digest("base64") === hashed[2]
  );
}
