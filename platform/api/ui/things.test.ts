/* oxlint-disable typescript/no-unsafe-member-access, typescript/no-unsafe-assignment, typescript/no-unsafe-return -- answers are JSON of any shape here */
import { afterAll, beforeAll, expect, test } from "vitest";
import { canary, openApiStage, type Stage } from "../../../test/kit/api-stage.ts";

let stage: Stage;

beforeAll(async () => {
  stage = await openApiStage();
});
afterAll(() => stage.close());

const test_ = "/t/acme/api/ui/connections/warehouse/test";

test("a connection is tried where it leads to, told in words, and without a word of its secrets", async () => {
  const { status, body, text } = await stage.ask("dan", "POST", test_);
  expect(status).toBe(200);
  expect(body).toMatchObject({
    ok: false,
    outcome: "refused",
    host: "db.acme.example",
    port: 5432,
    words: expect.stringContaining("db.acme.example:5432 refused"),
  });
  expect(text).not.toContain(canary);
  expect(stage.calls.at(-1)).toEqual({
    deed: "tryToReach",
    tenant: "acme",
    asked: { host: "db.acme.example", port: 5432, tls: false },
  });
});

test("only who may change a connection may have it tried, and not without end", async () => {
  const calls = stage.calls.length;
  for (const [who, status] of [
    ["ann", 403],
    ["gil", 404],
    ["nob", 404],
    [undefined, 401],
  ] as const)
    expect((await stage.ask(who, "POST", test_)).status).toBe(status);
  expect((await stage.ask("dan", "POST", test_.replace("warehouse", "nope"))).status).toBe(404);
  await stage.ask("dan", "POST", "/t/acme/api/v2/connections", {
    connection_id: "nowhere",
    conn_type: "generic",
  });
  expect((await stage.ask("dan", "POST", test_.replace("warehouse", "nowhere"))).status).toBe(400);
  expect(stage.calls).toHaveLength(calls);
  const answers: number[] = [];
  for (let i = 0; i < 25; i += 1) answers.push((await stage.ask("dan", "POST", test_)).status);
  expect(answers.filter((status) => status === 429).length).toBeGreaterThan(0);
});

test("files that name a thing are told to who may read both", async () => {
  const at = (name: string) => `/t/acme/api/ui/named-in?kind=conn&name=${name}`;
  const { body } = await stage.ask("dan", "GET", at("warehouse"));
  expect(body).toMatchObject({ files: [], is_partial: false });
  expect(body.files_searched).toBe(4);
  expect((await stage.ask("gil", "GET", at("warehouse"))).status).toBe(404);
  expect((await stage.ask("eve", "GET", at("warehouse"))).status).toBe(404);
  expect((await stage.ask("dan", "GET", "/t/acme/api/ui/named-in?kind=x&name=y")).status).toBe(422);
  expect((await stage.ask("dan", "GET", at("x".repeat(257)))).status).toBe(422);
});

test("making, changing and removing a thing is told to who looks", async () => {
  const notices = async (): Promise<number> =>
    (
      await stage.database.owner<{ n: number }[]>`
        select count(*)::int as n from airlock.change where tenant = 'acme' and to_state = 'things'`
    )[0]?.n ?? 0;
  const before = await notices();
  await stage.ask("dan", "POST", "/t/acme/api/v2/pools", { name: "db", slots: 3 });
  await stage.ask("dan", "PATCH", "/t/acme/api/v2/pools/db", { slots: 4 });
  await stage.ask("dan", "POST", "/t/acme/api/v2/variables", { key: "k", value: "v" });
  await stage.ask("dan", "DELETE", "/t/acme/api/v2/pools/db");
  expect((await notices()) - before).toBe(4);
});
