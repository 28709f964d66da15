/**
 * Who asks: a session cookie, a token, or a password. The built-in git host signs people in through the same
 * functions.
 */
import { randomInt, timingSafeEqual } from "node:crypto";
import type { Asker } from "../../policies/authz/authorizer.ts";
import type { TenantId } from "../model/ids.ts";
import { checkPassword, hashSecret, newSecret, passwordBytesMax } from "../secrets/passwords.ts";
import type { Store } from "../store/open.ts";
import {
  addToken,
  closeSession,
  findSession,
  findToken,
  getPasswordHash,
  getPerson,
  openSession,
  openSessionsOf,
  type PersonRow,
  type TokenRow,
  upgradePasswordHash,
} from "../store/people.ts";
import { openSignInLimit } from "./sign-in-limit.ts";

type PasswordAnswer =
  | { readonly kind: "person"; readonly asker: Asker }
  | { readonly kind: "wrong" }
  | { readonly kind: "too_soon"; readonly seconds: number };

export type SignIn = {
  byPassword(name: string, password: string, ip: string): Promise<PasswordAnswer>;
  /** `alk_…`, whole. undefined: not (or no longer) valid. */
  byToken(token: string): Promise<Asker | undefined>;
  bySession(id: string): Promise<Asker | undefined>;
  /** Which of these sessions are open still; asking does not count as using them. */
  openAmong(ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** A new session's id, for the cookie; only its hash is kept. */
  openSession(name: string, agent: string | null): Promise<string>;
  closeSession(id: string): Promise<void>;
  /** A new token's text, shown this once. */
  issueToken(token: {
    readonly kind: "api" | "access";
    readonly person: string;
    readonly tenant: TenantId | null;
    readonly scopes: readonly string[] | null;
    readonly name: string;
    readonly seconds: number | undefined;
  }): Promise<{ readonly text: string; readonly row: TokenRow }>;
};

export function openSignIn(store: Store, nowMs?: () => number): SignIn {
  const limit = openSignInLimit(nowMs);
  return {
    async byPassword(name, password, ip) {
      const seconds = limit.tooSoon(name, ip);
      if (seconds !== undefined) return { kind: "too_soon", seconds };
      if (Buffer.byteLength(password) > passwordBytesMax) return { kind: "wrong" };
      const known = namePattern.test(name);
      const stored = known ? await store.system((tx) => getPasswordHash(tx, name)) : undefined;
      const verdict = await checkPassword(stored, password);
      if (!verdict.right || stored === undefined) return { kind: "wrong" };
      const { better } = verdict;
      const person = await store.system(async (tx) => {
        if (better !== undefined) await upgradePasswordHash(tx, name, stored, better);
        return getPerson(tx, name);
      });
      // Disabled while the password was being checked.
      if (person?.state !== "active") return { kind: "wrong" };
      limit.succeeded(name, ip);
      return { kind: "person", asker: askerOf(person) };
    },
    async byToken(text) {
      const [, id, secret] = /^alk_([A-Za-z0-9]{12})_([\w-]{43})$/.exec(text) ?? [];
      if (id === undefined || secret === undefined) return undefined;
      const found = await store.system((tx) => findToken(tx, id));
      if (!found) return undefined;
      const hash = hashSecret(secret);
      if (found.hash.length !== hash.length || !timingSafeEqual(found.hash, hash)) return undefined;
      const { tenant, scopes } = found.token;
      return {
        ...askerOf(found.person),
        ...(tenant === null ? {} : { onlyTenant: tenant }),
        ...(scopes === null ? {} : { scopes }),
      };
    },
    async bySession(id) {
      if (!/^[\w-]{43}$/.test(id)) return undefined;
      const person = await store.system((tx) => findSession(tx, hashSecret(id)));
      return person && askerOf(person);
    },
    async openAmong(ids) {
      const byHash = new Map(ids.map((id) => [hashSecret(id).toString("hex"), id]));
      const hashes = [...byHash.keys()].map((hash) => Buffer.from(hash, "hex"));
      const open = await store.system((tx) => openSessionsOf(tx, hashes));
      return new Set(open.flatMap((hash) => byHash.get(hash.toString("hex")) ?? []));
    },
    async openSession(name, agent) {
      const id = newSecret();
      await store.system((tx) => openSession(tx, { hash: hashSecret(id), person: name, agent }));
      return id;
    },
    closeSession: (id) => store.system((tx) => closeSession(tx, hashSecret(id))),
    async issueToken(token) {
      const id = Array.from({ length: 12 }, () => letters[randomInt(letters.length)]).join("");
      const secret = newSecret();
      const row = await store.system((tx) =>
        addToken(tx, { ...token, id, hash: hashSecret(secret) }),
      );
      return { text: `alk_${id}_${secret}`, row };
    },
  };
}

export const namePattern = /^[A-Za-z0-9_.@+-]{1,250}$/;
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

const askerOf = (person: PersonRow): Asker => ({
  subject: `user:${person.name}`,
  name: person.name,
  groups: person.groups.map((group) => `group:${group}`),
});
