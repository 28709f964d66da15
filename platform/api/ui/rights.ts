/** Who may what on a DAG or on the tenant as a whole, and why; without the right to read grants, one's own alone. */
import { z } from "zod";
import { explain } from "../../../policies/authz/explain.ts";
import { type Deed, deeds } from "../../model/access.ts";
import { readDagId } from "../../model/ids.ts";
import { loadRules } from "../../store/grants.ts";
import { getDag } from "../../store/read-dags.ts";
import { type Endpoint, endpoint } from "../endpoint.ts";
import { text } from "../fields.ts";
import { knowsTenant } from "../knows-tenant.ts";
import { notFound } from "../problem.ts";
import { json } from "../reply.ts";
import { ui } from "./base.ts";

const rights = z.object({
  thing: z.string(),
  deeds: z.array(z.string()),
  /** Of everybody, or of the asker alone. */
  of: z.enum(["everybody", "you"]),
  is_partial: z.boolean(),
  subjects: z.array(
    z.object({
      subject: z.string(),
      may: z.array(
        z.object({
          deed: z.string(),
          allowed: z.boolean(),
          /** A deny first: it beats every allow. */
          reasons: z.array(
            z.object({
              effect: z.enum(["allow", "deny"]),
              subject: z.string(),
              thing: z.string(),
              deed: z.string(),
              from: z.enum(["built-in", "tenant", "platform"]),
              via: z.array(z.string()),
            }),
          ),
        }),
      ),
    }),
  ),
});
export type Rights = z.output<typeof rights>;

const subjectsMax = 300;
const reasonsMax = 8;
const onDags = /^(?:dag|run|task|log|xcom|code)\./;

export const rightsEndpoints: readonly Endpoint[] = [
  endpoint(
    {
      method: "GET",
      path: `${ui}/rights`,
      tag: "Page",
      summary: "Who may what on a DAG (or, without one, on the tenant), and by which rule or role",
      policy: {
        signedIn: true,
        why: "of others only with grant.read; one's own are one's to know",
      },
      query: { dag_id: text(250).optional() },
      answers: { 200: rights },
    },
    async (ask) => {
      const { asker, tenant } = ask;
      if (!knowsTenant(ask.rights, asker)) throw notFound();
      const dagId = ask.query.dag_id;
      if (dagId !== undefined) {
        const read = readDagId(dagId);
        if (!read.ok || !ask.may("dag.read", `dag:${dagId}`))
          throw notFound("There is no such DAG");
        if ((await ask.tx((tx) => getDag(tx, dagId))) === undefined)
          throw notFound("There is no such DAG");
      }
      const thing = dagId === undefined ? "*" : `dag:${dagId}`;
      const shown = deeds.filter((deed) =>
        dagId === undefined
          ? !onDags.test(deed) && !deed.startsWith("platform.")
          : onDags.test(deed),
      );
      const set = await ask.deps.store.system((tx) => loadRules(tx, tenant));
      const ofAll = ask.may("grant.read", "*");
      const named = ofAll
        ? [
            ...new Set(
              [set.tenant, set.platform].flatMap(({ rules, assignments }) => [
                ...rules.map(({ subject }) => subject),
                ...assignments.map(({ subject }) => subject),
              ]),
            ),
          ]
            .filter((subject) => !subject.startsWith("role:"))
            .toSorted()
        : [asker.subject, ...asker.groups];
      const rows = named.slice(0, subjectsMax).map((subject) => ({
        subject,
        may: shown.map((deed: Deed) => ({
          deed,
          // The verdict is the one that requests get: of the compiled grants, not of the reasons.
          allowed: ask.rights.can({ subject, name: subject, groups: [] }, deed, thing),
          reasons: explain(set, tenant, { subject, deed, thing })
            .slice(0, reasonsMax)
            .map(({ via, ...reason }) => ({ ...reason, via: [...via] })),
        })),
      }));
      return json(200, {
        thing,
        deeds: [...shown],
        of: ofAll ? "everybody" : "you",
        is_partial: named.length > subjectsMax,
        subjects: rows,
      } satisfies Rights);
    },
  ),
];
