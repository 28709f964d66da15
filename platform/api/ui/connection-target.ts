/** Where a connection leads to, and what became of trying to reach it, in words. */
import type { ReachAnswer, ReachTarget } from "../../model/reach.ts";

/** The port that is meant where none is said, and whether TLS comes first on it. */
const kinds: { readonly [type: string]: { readonly port: number; readonly tls?: true } } = {
  postgres: { port: 5432 },
  redshift: { port: 5439 },
  mysql: { port: 3306 },
  mssql: { port: 1433 },
  oracle: { port: 1521 },
  mongo: { port: 27_017 },
  redis: { port: 6379 },
  cassandra: { port: 9042 },
  elasticsearch: { port: 9200 },
  ftp: { port: 21 },
  sftp: { port: 22 },
  ssh: { port: 22 },
  smtp: { port: 25 },
  imap: { port: 993, tls: true },
  ldap: { port: 389 },
  kafka: { port: 9092 },
  http: { port: 80 },
  https: { port: 443, tls: true },
  aws: { port: 443, tls: true },
  databricks: { port: 443, tls: true },
  snowflake: { port: 443, tls: true },
};
const tlsPorts = new Set([443, 465, 636, 853, 990, 993, 995, 6380, 8443]);

type Connection = {
  readonly conn_type: string;
  readonly host: string | null;
  readonly port: number | null;
  readonly schema: string | null;
};

/** Undefined with a sentence: there is nothing to connect to. */
export function targetOf({
  conn_type,
  host: raw,
  port,
  schema,
}: Connection): { readonly target: ReachTarget } | { readonly problem: string } {
  const text = raw?.trim() ?? "";
  if (text === "") return { problem: "The connection has no host: there is nothing to reach." };
  // Airflow's HTTP connections often have an address as their host.
  const address = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i.exec(text);
  const scheme = (address?.[1] ?? (conn_type === "http" ? (schema ?? "") : "")).toLowerCase();
  const place = (address?.[2] ?? text.split("/", 1)[0] ?? "").replace(/^.*@/, "");
  const parts = /^(?:\[([0-9a-f:.]+)\]|([^:\s]+)|([0-9a-f:]+:[0-9a-f:.]*))(?::(\d{1,5}))?$/i.exec(
    place,
  );
  const host = parts?.[1] ?? parts?.[2] ?? parts?.[3] ?? "";
  if (!/^[\w.:-]{1,253}$/.test(host))
    return { problem: "Its host is neither a name nor an address of one machine." };
  const kind = kinds[scheme] ?? kinds[conn_type.toLowerCase()];
  const at = port ?? (parts?.[4] === undefined ? undefined : Number(parts[4])) ?? kind?.port;
  if (at === undefined || at < 1 || at > 65_535)
    return { problem: `It has no port, and none is usual for the type ${conn_type}.` };
  const tls = scheme === "https" || tlsPorts.has(at) || (kind?.tls === true && at === kind.port);
  return { target: { host, port: at, tls: scheme === "http" ? false : tls } };
}

export function reachWords(
  { outcome, code }: ReachAnswer,
  { host, port, tls }: ReachTarget,
): string {
  const at = `${host}:${port}`;
  switch (outcome) {
    case "reached":
      return `${at} was reached. What is spoken there was not tried.`;
    case "reached_tls":
      return `${at} was reached, and its TLS certificate is trusted.`;
    case "not_allowed":
      return `Tasks of this tenant may not reach ${at}: its egress list has no such rule. An admin adds one.`;
    case "no_name":
      return `The name ${host} was not found, or leads back into this machine.`;
    case "refused":
      return `${at} refused: nothing listens on that port, or a firewall says no.`;
    case "timeout":
      return `${at} did not answer${tls ? " with TLS" : ""} within 5 seconds.`;
    case "unreachable":
      return `There is no way to ${at}${code === undefined ? "" : ` (${code})`}.`;
    case "tls":
      return `${at} was reached, and TLS failed${code === undefined ? "" : `: ${tlsWords[code] ?? code}`}.`;
    case "closed":
      return `${at} closed the connection at once.`;
    case "no_sandbox":
      return "The sandbox for the test did not start; an admin finds more in the log.";
  }
}

const tlsWords: { readonly [code: string]: string } = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is signed by nobody but itself",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate's issuer is not trusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate's issuer is not known",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate's issuer is not known",
  CERT_HAS_EXPIRED: "its certificate has expired",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS on this port",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "it does not speak TLS on this port",
};
