/** How this machine reaches its package index: pip's own variables and files, handed on to the build and to nothing else. */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { EgressRule } from "../../platform/model/guest.ts";
import type { Bind } from "../sandbox/launch.ts";

export type IndexSettings = {
  readonly env: { readonly [name: string]: string };
  /** The index, or the proxy that leads to it. */
  readonly egress: readonly EgressRule[];
  /** Certificates and folders of packages on this machine. */
  readonly binds: readonly Bind[];
  /** For messages. */
  readonly hosts: readonly string[];
};

type Environment = { readonly [name: string]: string | undefined };

const certificates = [
  "PIP_CERT",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "REQUESTS_CA_BUNDLE",
  "CURL_CA_BUNDLE",
];
const proxies = [
  "HTTPS_PROXY",
  "https_proxy",
  "HTTP_PROXY",
  "http_proxy",
  "ALL_PROXY",
  "all_proxy",
  "NO_PROXY",
  "no_proxy",
];
/** Of pip's options those that say where packages come from; others (a target, a user install) would break the build. */
const kept =
  /^PIP_(?:INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|TRUSTED_HOST|CERT|CLIENT_CERT|PROXY|TIMEOUT|DEFAULT_TIMEOUT|RETRIES|USE_DEPRECATED|USE_FEATURE)$/;

export function readIndexSettings(
  machine: Environment = process.env,
  configFiles: readonly string[] = pipConfigFiles(machine),
): IndexSettings {
  const env: { [name: string]: string } = { PIP_RETRIES: "2" };
  for (const path of configFiles) Object.assign(env, readConfig(path));
  for (const [name, value] of Object.entries(machine))
    if (
      value !== undefined &&
      value !== "" &&
      (kept.test(name) || certificates.includes(name) || proxies.includes(name))
    )
      env[name] = value;
  // A file of options would bring in what was left out here.
  env["PIP_CONFIG_FILE"] = "/dev/null";
  const places = [
    env["PIP_INDEX_URL"] ?? (isTrue(env["PIP_NO_INDEX"]) ? "" : "https://pypi.org/simple"),
    ...words(env["PIP_EXTRA_INDEX_URL"]),
    ...words(env["PIP_FIND_LINKS"]),
  ];
  const indexes = places.flatMap(ruleOf);
  if (indexes.some((rule) => rule.host === "pypi.org"))
    indexes.push({ host: "files.pythonhosted.org", port: 443 });
  const proxy = ["PIP_PROXY", ...proxies.slice(0, 6)]
    .map((name) => env[name])
    .filter((value) => value !== undefined)
    .flatMap((value) => ruleOf(value.includes("://") ? value : `http://${value}`));
  const folders = words(env["PIP_FIND_LINKS"]).filter((place) => place.startsWith("/"));
  return {
    env,
    egress: [...indexes, ...proxy],
    binds: [
      ...new Set([
        ...[...certificates, "PIP_CLIENT_CERT"].flatMap((name) => env[name] ?? []),
        ...folders,
      ]),
    ]
      .filter(
        (path) =>
          path.startsWith("/") && existsSync(path) && !/^\/(?:usr|etc\/ssl)(?:\/|$)/.test(path),
      )
      .map((path) => ({ from: path, to: path, access: "read" as const })),
    hosts: [...new Set(indexes.map((rule) => rule.host))],
  };
}

const pipConfigFiles = (machine: Environment): readonly string[] => [
  "/etc/pip.conf",
  join(homedir(), ".pip", "pip.conf"),
  join(machine["XDG_CONFIG_HOME"] ?? join(homedir(), ".config"), "pip", "pip.conf"),
  ...(machine["PIP_CONFIG_FILE"] === undefined ? [] : [machine["PIP_CONFIG_FILE"]]),
];

/** pip.conf is an INI file; options of [global] and [install] are the variables' lower-case twins. */
function readConfig(path: string): { readonly [name: string]: string } {
  const env: { [name: string]: string } = {};
  let section = "";
  let last: string | undefined;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return env;
  }
  for (const line of text.split(/\r?\n/)) {
    const head = /^\[([^\]]+)\]/.exec(line)?.[1];
    const pair = /^([\w-]+)\s*[=:]\s*(.*)$/.exec(line);
    if (head !== undefined) section = head;
    else if (/^\s*[#;]/.test(line) || !/^(?:global|install)$/.test(section)) continue;
    else if (/^\s+\S/.test(line) && last !== undefined)
      env[last] = `${env[last] ?? ""} ${line.trim()}`.trim();
    else if (pair !== null) {
      const name = `PIP_${(pair[1] ?? "").toUpperCase().replaceAll("-", "_")}`;
      last = kept.test(name) ? name : undefined;
      if (last !== undefined) env[last] = (pair[2] ?? "").trim();
    }
  }
  return env;
}

function ruleOf(place: string): EgressRule[] {
  try {
    const url = new URL(place);
    if (!/^(?:https?|socks5h?):$/.test(url.protocol)) return [];
    return [
      { host: url.hostname, port: Number(url.port) || (url.protocol === "https:" ? 443 : 80) },
    ];
  } catch {
    return [];
  }
}

const words = (text: string | undefined): readonly string[] =>
  text?.split(/\s+/).filter(Boolean) ?? [];
const isTrue = (text: string | undefined): boolean => /^(?:1|true|yes|on)$/i.test(text ?? "");
