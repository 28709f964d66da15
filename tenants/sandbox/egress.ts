/**
 * The house's side of a guest's network. A guest with an allow-list lives in a network of its own in which
 * only the allowed addresses exist; who connects there is accepted here, outside, and connected on.
 */
import { lookup } from "node:dns/promises";
import { connect, isIP, isIPv4, type Server, type Socket } from "node:net";
import type { EgressRule } from "../../platform/model/guest.ts";

/** What a rule is inside: the address that stands for its host there. */
export type Door = { readonly rule: EgressRule; readonly address: string };

/** Literal addresses stand for themselves, names for an address of their own on the guest's loopback. */
export function planDoors(rules: readonly EgressRule[]): readonly Door[] {
  const byName = new Map<string, string>();
  return rules
    .filter((rule) => isIP(rule.host) !== 6)
    .map((rule) => {
      const host = rule.host.toLowerCase();
      if (isIPv4(host)) return { rule, address: host };
      if (host === "localhost") return { rule, address: "127.0.0.1" };
      const known = byName.get(host);
      if (known !== undefined) return { rule, address: known };
      const n = byName.size + 1;
      const address = `127.1.${String(Math.floor(n / 250))}.${String((n % 250) + 1)}`;
      byName.set(host, address);
      return { rule, address };
    });
}

/** Addresses that the guest's loopback must be given: those that are not loopback anyway. */
export const addressesOf = (doors: readonly Door[]): string =>
  [...new Set(doors.map((door) => door.address).filter((a) => !a.startsWith("127.")))].join(" ");

/** Every allowed name, and no other: there is no name server inside. */
export const hostsFile = (doors: readonly Door[]): string =>
  [
    "127.0.0.1 localhost",
    ...new Set(
      doors
        .filter(({ rule }) => isIP(rule.host) === 0 && rule.host.toLowerCase() !== "localhost")
        .map(({ rule, address }) => `${address} ${rule.host.toLowerCase()}`),
    ),
    "",
  ].join("\n");

const connectionsMax = 256;

/** What became of a connection on the outside: a guest sees only that it was accepted, and then that it was closed. */
export type DoorNews = {
  readonly rule: EgressRule;
  /** `no_address`: the name is unknown, or leads back into this machine. Else the system's word, as `ECONNREFUSED`. */
  readonly outside: "reached" | "no_address" | { readonly code: string };
};

/** Accepts what the guest connects to and carries bytes both ways. Answers how to end it. */
export function serveDoor(
  server: Server,
  rule: EgressRule,
  tell: (news: DoorNews) => void = () => undefined,
): () => void {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  };
  server.on("connection", (inner: Socket) => {
    inner.on("error", () => inner.destroy());
    if (sockets.size >= connectionsMax * 2) {
      inner.destroy();
      return;
    }
    inner.pause();
    keep(inner);
    void reach(rule).then(
      (address) => {
        const outer = connect({ host: address, port: rule.port });
        keep(outer);
        outer.on("error", (error: NodeJS.ErrnoException) => {
          tell({ rule, outside: { code: error.code ?? "" } });
          inner.destroy();
        });
        outer.once("close", () => inner.destroy());
        inner.once("close", () => outer.destroy());
        outer.once("connect", () => {
          tell({ rule, outside: "reached" });
          inner.pipe(outer);
          outer.pipe(inner);
        });
      },
      () => {
        tell({ rule, outside: "no_address" });
        inner.destroy();
      },
    );
  });
  server.on("error", () => undefined);
  return () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
}

/**
 * An author may own the name that was allowed: it must not lead back into this machine (the platform's own
 * database) or to the cloud's metadata. Who means loopback says `localhost` or `127.0.0.1`.
 */
async function reach(rule: EgressRule): Promise<string> {
  if (isIP(rule.host) !== 0) return rule.host;
  const found = await lookup(rule.host, { all: true });
  const usable =
    rule.host.toLowerCase() === "localhost"
      ? found
      : found.filter(({ address }) => !isOfThisMachine(address));
  const chosen = usable.find(({ family }) => family === 4) ?? usable[0];
  if (chosen === undefined) throw new Error(`${rule.host} has no address that may be reached`);
  return chosen.address;
}

export function isOfThisMachine(address: string): boolean {
  const v4 = /^(?:::ffff:)?(\d+)\.(\d+)\.\d+\.\d+$/i.exec(address);
  if (v4 !== null) {
    const [first, second] = [Number(v4[1]), Number(v4[2])];
    return first === 127 || first === 0 || (first === 169 && second === 254);
  }
  return /^(?:::1?|fe[89ab][0-9a-f]:.*|fd00:ec2::254|::ffff:.*)$/i.test(address);
}
