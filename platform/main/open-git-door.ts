import { createHash } from "node:crypto";
import type { Authorizer } from "../../policies/authz/authorizer.ts";
import type { GitAccessRequest, GitVerdict } from "../../tenants/source/serve-git.ts";
import type { SignIn } from "../api/identify.ts";
import type { Store } from "../store/open.ts";
import { getPasswordHash } from "../store/people.ts";

type Asker = NonNullable<Awaited<ReturnType<SignIn["byToken"]>>>;

const keptMax = 1_000;

/**
 * Who may clone and push on the built-in git host: Basic with a password or a token, then the tenant's rights.
 * One push is three requests; a password that was right is not hashed again (60 ms each) as long as the stored
 * hash is the same, so a changed password and a disabled account count at once.
 */
export function openGitDoor(deps: {
  readonly store: Store;
  readonly authorizer: Authorizer;
  readonly signIn: SignIn;
}): (request: GitAccessRequest, ip: string) => Promise<GitVerdict> {
  const { store, authorizer, signIn } = deps;
  const right = new Map<string, { readonly hash: string; readonly asker: Asker }>();

  const byPassword = async (
    name: string,
    password: string,
    ip: string,
  ): Promise<Asker | undefined> => {
    const key = createHash("sha256").update(`${name}\0${password}`).digest("base64");
    const known = right.get(key);
    if (known !== undefined) {
      const hash = await store.system((tx) => getPasswordHash(tx, name));
      if (hash === known.hash) return known.asker;
      right.delete(key);
    }
    const answer = await signIn.byPassword(name, password, ip);
    if (answer.kind !== "person") return undefined;
    const hash = await store.system((tx) => getPasswordHash(tx, name));
    if (hash !== undefined) right.set(key, { hash, asker: answer.asker });
    if (right.size > keptMax) right.delete(right.keys().next().value ?? "");
    return answer.asker;
  };

  return async ({ tenant, repository, deed, basic }, ip) => {
    if (basic === undefined) return { kind: "sign_in" };
    const asker = basic.password.startsWith("alk_")
      ? await signIn.byToken(basic.password)
      : await byPassword(basic.username, basic.password, ip);
    if (asker === undefined) return { kind: "sign_in" };
    if (asker.onlyTenant !== undefined && asker.onlyTenant !== tenant) return { kind: "unknown" };
    const [row] = await store.tx(
      tenant,
      (tx) => tx<{ state: string; kind: string }[]>`
        select t.state, r.kind from airlock.tenant t join airlock.repository r on r.tenant = t.tenant
         where t.tenant = ${tenant} and r.repository = ${repository}`,
    );
    if (row === undefined || row.kind !== "hosted") return { kind: "unknown" };
    const thing = `repo:${repository}`;
    if (!(await authorizer.can(asker, "repo.read", tenant, thing))) return { kind: "unknown" };
    if (deed === "repo.push" && row.state !== "active")
      return { kind: "forbidden", message: `The tenant ${tenant} is suspended.` };
    return (await authorizer.can(asker, deed, tenant, thing))
      ? { kind: "allowed", actor: asker.subject }
      : {
          kind: "forbidden",
          message: `${asker.name} may read ${tenant}/${repository} and not push to it.`,
        };
  };
}
