/**
 * An endpoint says what it takes, what it answers and who may: there is no way to mount a handler without a
 * policy. `create-api.ts` mounts them, `openapi.ts` describes them.
 */
import { z } from "zod";
import type { Asker, TenantRights } from "../../policies/authz/authorizer.ts";
import type { SeenIds } from "../../policies/authz/seen-by.ts";
import type { Deed } from "../model/access.ts";
import type { TenantId } from "../model/ids.ts";
import type { JsonObject } from "../model/json.ts";
import type { Tx } from "../store/open.ts";
import type { ApiDeps } from "./deps.ts";

export type Policy =
  /** Answers strangers. `why` is for the reader. */
  | { readonly open: true; readonly why: string }
  /** Anybody who is signed in, about themselves. */
  | { readonly signedIn: true; readonly why: string }
  /** `deed` on a thing named by the path: `dag:{dag_id}`, or `*` for the tenant (or platform) as a whole. */
  | { readonly deed: Deed; readonly on: string; readonly platform?: true }
  /**
   * A list: the handler must filter by `ask.seen()`. With `in`, the path names one DAG, which is then checked;
   * `~` there stands for all that are seen.
   */
  | { readonly deed: Deed; readonly list: string; readonly in?: string };

type Shape = z.ZodRawShape;
type Values<S extends Shape> = z.output<z.ZodObject<S>>;

export type Endpoint = {
  readonly method: "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
  /** `/t/{tenant}/api/v2/dags/{dag_id}`; `{key*}` takes slashes. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly policy: Policy;
  readonly query: z.ZodObject;
  readonly body: z.ZodObject | undefined;
  readonly formToo: boolean;
  readonly answers: { readonly [status: number]: z.ZodType | undefined };
  readonly handle: (ask: Ask<Values<Shape>, unknown>) => Promise<Response>;
};

/** One request, read and allowed. */
export type Ask<Q, B> = {
  readonly request: Request;
  readonly deps: ApiDeps;
  readonly params: { readonly [name: string]: string };
  readonly query: Q;
  readonly body: B;
  readonly asker: Asker;
  /** Of the path. Only where the path has one. */
  readonly tenant: TenantId;
  readonly rights: TenantRights;
  readonly ip: string;
  /** Ids of the list's kind on which the policy's deed (or another one) is allowed. */
  readonly seen: (deed?: Deed, kind?: string) => SeenIds;
  /** A thing that the body names: allowed, or 403, or 404 where the asker may not know of it. */
  readonly must: (deed: Deed, thing: string) => void;
  readonly may: (deed: Deed, thing: string) => boolean;
  /** A transaction of this tenant. */
  readonly tx: <T>(work: (tx: Tx) => Promise<T>) => Promise<T>;
  /** Writes the audit row, in the transaction of the deed. */
  readonly audit: (tx: Tx, deed: string, thing: string, detail?: JsonObject) => Promise<void>;
};

export function endpoint<
  Q extends Shape = Record<never, never>,
  B extends Shape = Record<never, never>,
>(
  spec: {
    readonly method: Endpoint["method"];
    readonly path: string;
    readonly tag: string;
    readonly summary: string;
    readonly policy: Policy;
    readonly query?: Q;
    readonly body?: B;
    readonly formToo?: true;
    readonly answers: Endpoint["answers"];
  },
  handle: (ask: Ask<Values<Q>, Values<B>>) => Promise<Response>,
): Endpoint {
  return {
    method: spec.method,
    path: spec.path,
    tag: spec.tag,
    summary: spec.summary,
    policy: spec.policy,
    query: z.object(spec.query ?? {}),
    body: spec.body === undefined ? undefined : z.strictObject(spec.body),
    formToo: spec.formToo === true,
    answers: spec.answers,
    // Query and body were read with exactly these schemas before the handler is called.
    handle: handle as unknown as Endpoint["handle"],
  };
}
