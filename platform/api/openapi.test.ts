/* oxlint-disable typescript/no-unsafe-member-access, typescript/no-unsafe-assignment, typescript/no-unsafe-return -- answers are JSON of any shape here */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openApiStage, type Stage } from "../../test/kit/api-stage.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await openApiStage();
});
afterAll(() => stage.close());

test("the description changes only on purpose (vitest -u writes it anew)", async () => {
  const { body } = await stage.ask(undefined, "GET", "/api/platform/openapi.json");
  // A line for what each operation asks and one for what it answers: a review sees which changed.
  const lines = Object.entries(body.paths as Record<string, Record<string, { responses: unknown }>>)
    .flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, { responses, ...asks }]) => [
        `${method.toUpperCase()} ${path}`,
        `  asks ${JSON.stringify(asks)}`,
        `  answers ${JSON.stringify(responses)}`,
      ]),
    )
    .flat();
  const golden = join(import.meta.dirname, "openapi.golden.txt");
  await expect(`${lines.join("\n")}\n`).toMatchFileSnapshot(golden);
});

test("it describes every route once, with who may", async () => {
  const { body } = await stage.ask(undefined, "GET", "/api/platform/openapi.json");
  expect(body.openapi).toBe("3.1.0");
  const operations = Object.values(
    body.paths as Record<
      string,
      Record<string, { operationId: string; "x-airlock-policy": string }>
    >,
  ).flatMap((path) => Object.values(path));
  expect(operations).toHaveLength(stage.api.endpoints.length);
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  expect(operations.every((operation) => operation["x-airlock-policy"].length > 0)).toBe(true);
});
