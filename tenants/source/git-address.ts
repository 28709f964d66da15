/**
 * Where a repository may be fetched from. Reading is pure; `reachAddress` resolves the name once, judges
 * the addresses and pins one, so that a name that answers differently the second time gains nothing.
 */
import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { type Answer, bad, good } from "../../platform/model/answer.ts";

export type GitAddress = {
  readonly scheme: "https" | "http" | "ssh" | "file";
  readonly host: string;
  readonly port: number;
  readonly user?: string;
  /** Normalised, without password; safe to show. */
  readonly url: string;
};

/** An admin's allow-list. Nothing here is a tenant's to set. */
export type AddressRules = {
  /** `host` or `host:port`, for which plain http and private addresses are allowed. */
  readonly privateHosts: readonly string[];
  /** Absolute folders under which file:// may read. */
  readonly fileRoots: readonly string[];
};

export const strictAddressRules: AddressRules = { privateHosts: [], fileRoots: [] };

export type AddressProblem = {
  readonly kind: "refused_address";
  readonly message: string;
  readonly hint: string;
};

const refuse = (message: string, hint: string): Answer<never, AddressProblem> =>
  bad({ kind: "refused_address", message, hint });

const howTo = "write https://host/path.git or ssh://git@host/path.git";

/** Also takes `git@host:path`, the short form that hosts show. */
export function readGitAddress(
  raw: string,
  rules: AddressRules,
): Answer<GitAddress, AddressProblem> {
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  if (raw.length > 1000 || /[\u0000-\u0020\u007f\\]/.test(raw))
    return refuse(
      "the address is too long or has spaces, backslashes or control characters",
      howTo,
    );
  if (raw.startsWith("-")) return refuse("an address cannot begin with a dash", howTo);
  if (/^[\w.-]*::/.test(raw))
    return refuse("git's helper addresses (helper::…) are not allowed", howTo);
  const short = /^([\w.-]+)@([A-Za-z0-9.-]+):(?!\/\/)([^:]+)$/.exec(raw);
  const text = short
    ? `ssh://${short[1] ?? ""}@${short[2] ?? ""}/${(short[3] ?? "").replace(/^\//, "")}`
    : raw;
  const url = URL.parse(text);
  if (!url) return refuse("this is not an address", howTo);

  const scheme = url.protocol.slice(0, -1);
  if (scheme === "file") return readFileAddress(url, rules);
  if (scheme !== "https" && scheme !== "http" && scheme !== "ssh")
    return refuse(`${scheme}:// is not allowed`, howTo);
  if (url.password !== "" || (url.username !== "" && scheme !== "ssh"))
    return refuse(
      "an address must not carry a user or password",
      "give them as the repository's credentials",
    );
  if (url.search !== "" || url.hash !== "")
    return refuse("an address must not have a query or fragment", howTo);
  const host = url.hostname
    .replace(/^\[|\]$/g, "")
    .toLowerCase()
    .replace(/\.$/, "");
  if (host === "" || host.startsWith("-") || !/^[a-z0-9.:_-]+$/.test(host))
    return refuse("the host name is not valid", howTo);
  if (/%2e%2e|\/\.\.(\/|$)/i.test(url.pathname) || url.pathname === "/" || url.pathname === "")
    return refuse("the address has no path to a repository", howTo);
  const user = url.username === "" ? "git" : url.username;
  if (!/^[\w.][\w.-]{0,63}$/.test(user))
    return refuse("the user name in the address is not valid", howTo);
  const port = url.port === "" ? { https: 443, http: 80, ssh: 22 }[scheme] : Number(url.port);
  const address: GitAddress = {
    scheme,
    host,
    port,
    ...(scheme === "ssh" ? { user } : {}),
    url:
      scheme === "ssh"
        ? `ssh://${user}@${bracketed(host)}:${port}${url.pathname}`
        : `${scheme}://${url.host}${url.pathname}`,
  };
  if (scheme === "http" && !isListed(address, rules))
    return refuse(
      "plain http is not allowed: anybody on the way could change the code",
      "use https, or ask an admin to list this host",
    );
  return good(address);
}

function readFileAddress(url: URL, rules: AddressRules): Answer<GitAddress, AddressProblem> {
  const path = decodedPath(url);
  if (path === undefined) return refuse("this is not an address", howTo);
  const inside = rules.fileRoots.some(
    (root) => path === root || path.startsWith(`${root.replace(/\/+$/, "")}/`),
  );
  if (!inside || url.host !== "" || path.split("/").includes(".."))
    return refuse("file:// is not allowed", "use https or ssh, or ask an admin to list the folder");
  return good({ scheme: "file", host: "", port: 0, url: `file://${path}` });
}

/** undefined: a percent sign that begins no byte, or bytes that are no UTF-8. */
function decodedPath(url: URL): string | undefined {
  try {
    return decodeURIComponent(url.pathname);
  } catch {
    return undefined;
  }
}

const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host);
const isListed = ({ host, port }: GitAddress, rules: AddressRules): boolean =>
  rules.privateHosts.some((listed) => listed === host || listed === `${bracketed(host)}:${port}`);

export type ReachableAddress = GitAddress & {
  /** The one IP address that will be connected to; absent for file. */
  readonly pinned?: string;
};

export type Resolve = (host: string) => Promise<readonly string[]>;

const resolveByDns: Resolve = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

export async function reachAddress(
  address: GitAddress,
  rules: AddressRules,
  resolve: Resolve = resolveByDns,
): Promise<
  Answer<
    ReachableAddress,
    | AddressProblem
    | { readonly kind: "unreachable"; readonly message: string; readonly hint: string }
  >
> {
  if (address.scheme === "file") return good(address);
  let ips: readonly string[];
  try {
    ips = isIP(address.host) ? [address.host] : await resolve(address.host);
  } catch {
    ips = [];
  }
  const first = ips[0];
  if (first === undefined)
    return bad({
      kind: "unreachable",
      message: `the host ${address.host} cannot be resolved`,
      hint: "check the spelling and the machine's DNS",
    });
  if (isListed(address, rules)) return good({ ...address, pinned: first });
  const open = ips.filter((ip) => !isPrivate(ip));
  // One private address among public ones is a rebinding attempt or a mistake; neither is fetched.
  if (open.length < ips.length)
    return refuse(
      `${address.host} is a private address`,
      "ask an admin to list this host if it is yours",
    );
  return good({ ...address, pinned: first });
}

const privateNetworks = new BlockList();
for (const [net, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const)
  privateNetworks.addSubnet(net, bits, "ipv4");

/** For IPv6 the other way round: only global unicast is open, minus the ranges in it that lead elsewhere. */
const globalUnicast = new BlockList();
globalUnicast.addSubnet("2000::", 3, "ipv6");
const hiddenV6 = new BlockList();
for (const [net, bits] of [
  ["2001::", 32],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const)
  hiddenV6.addSubnet(net, bits, "ipv6");

export function isPrivate(ip: string): boolean {
  if (isIP(ip) === 4) return privateNetworks.check(ip, "ipv4");
  if (isIP(ip) !== 6) return true;
  // Mapped (::ffff:a.b.c.d) and translated (64:ff9b::) addresses fall out here too: they are not 2000::/3.
  return !globalUnicast.check(ip, "ipv6") || hiddenV6.check(ip, "ipv6");
}
