/** What a hop costs the database, counted: instruments must add nothing to it. Raise a number here only with a reason. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { dagSpec } from "../../test/kit/dag-spec.ts";
import { type OpenedDoor, openRunStage, type RunStage } from "../../test/kit/run-stage.ts";
import { known } from "../model/ids.ts";
import { claimAttempt } from "../store/claim.ts";
import type { Store, Tx } from "../store/open.ts";

let stage: RunStage;
let counted: OpenedDoor;
let transactions = 0;
let statements = 0;

const counting = (store: Store): Store => ({
  ...store,
  tx: (tenant, work) =>
    store.tx(tenant, (tx) => {
      transactions += 1;
      return work(countStatements(tx));
    }),
  once(tenant, statement) {
    transactions += 1;
    statements += 1;
    return store.once(tenant, statement);
  },
});

/** A statement is what is sent: fragments inside another one are built by the same function, and not sent. */
const countStatements = (tx: Tx): Tx => {
  const send = (...given: Parameters<Tx>) => {
    const query = tx(...given) as unknown as { then: (...more: never[]) => unknown };
    let isSent = false;
    for (const name of ["then", "execute"] as const) {
      const before = (query as Record<string, unknown>)[name] as (...more: unknown[]) => unknown;
      Object.assign(query, {
        [name]: (...more: unknown[]) => {
          if (!isSent) statements += 1;
          isSent = true;
          return before.apply(query, more);
        },
      });
    }
    return query;
  };
  return Object.assign(send, {
    unsafe: (text: string) => tx.unsafe(text),
    last: tx.last,
  }) as unknown as Tx;
};

beforeAll(async () => {
  stage = await openRunStage();
  await stage.reset();
  counted = stage.another(undefined, counting);
});
afterAll(() => stage.closeAll());

test("a hop is a claim of one statement and a door of one transaction", async () => {
  const tasks = [
    { task_id: "a", downstream: ["b"] },
    { task_id: "b", downstream: ["c"] },
    { task_id: "c" },
  ];
  await stage.deploy(dagSpec(tasks, { dag_id: known.dag("d") }));
  const run = await stage.trigger("d");
  await stage.finish(await stage.claimNext(run), {}, counted);
  const [next] = await stage.database.owner<{ attempt: string }[]>`
    select attempt from airlock.attempt where state = 'admitted'`;
  transactions = 0;
  statements = 0;
  const claimed = await claimAttempt(
    counted.store,
    stage.tenant,
    known.attempt(next?.attempt ?? ""),
    stage.worker,
    15,
  );
  expect([transactions, statements]).toEqual([1, 1]);
  if (claimed === undefined) throw new Error("the claim found nothing");
  expect(claimed.at.trace).toMatch(/^[0-9a-f-]{36}$/);
  transactions = 0;
  statements = 0;
  await stage.finish(claimed, { wish: true }, counted);
  expect([transactions, statements]).toEqual([1, 14]);
});
