/* oxlint-disable typescript/no-unsafe-member-access, typescript/no-unsafe-assignment, typescript/no-unsafe-return -- answers are JSON of any shape here */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type Asked,
  openApiStage,
  type PersonName,
  type Stage,
} from "../../../test/kit/api-stage.ts";
import type { SearchEvent } from "./log.ts";
import type { Hit } from "./match-lines.ts";

let stage: Stage;
beforeAll(async () => {
  stage = await openApiStage();
  // Later than the tries of these tests: what they hold is all that they will ever hold.
  await stage.database.owner`
    update airlock.task_instance set try_number = 1000 where tenant = 'acme' and dag_id = 'orders_etl' and task_id = 'extract'
       and run = (select run from airlock.dag_run where tenant = 'acme' and dag_id = 'orders_etl' and run_id = 'r2')`;
});
afterAll(() => stage.close());

const logOf = (dag = "orders_etl", tenant = "acme", tryNumber = 1): string =>
  `/t/${tenant}/api/ui/dags/${dag}/dagRuns/r2/taskInstances/extract/tries/${tryNumber}/log`;
const get = (path: string, who: PersonName = "ann"): Promise<Asked> => stage.ask(who, "GET", path);

type Row = readonly [level: string, text: string];

/** An attempt of acme's running `extract` of run r2 (each test has its own try), with these chunks. */
let lastTry = 100;
async function logged(
  attempts: readonly (readonly (readonly Row[])[])[],
  state: "running" | "ended" = "ended",
): Promise<string> {
  lastTry += 1;
  const sql = stage.database.owner;
  for (const [nth, chunks] of attempts.entries()) {
    const attempt = randomUUID();
    await sql`
      insert into airlock.attempt (tenant, attempt, run, dag_id, task_id, map_index, try_number, state, queue, admitted_at, outcome, reason)
      select 'acme', ${attempt}, run, dag_id, 'extract', -1, ${lastTry}, ${nth === attempts.length - 1 ? state : "ended"}, 'default',
             ${`2026-01-02T06:00:0${nth}Z`}, ${nth === attempts.length - 1 ? null : "lost"}, 'its worker died'
        from airlock.dag_run where tenant = 'acme' and dag_id = 'orders_etl' and run_id = 'r2'`;
    for (const [seq, rows] of chunks.entries()) await addChunk(attempt, seq, rows);
  }
  return logOf("orders_etl", "acme", lastTry);
}

async function addChunk(attempt: string, seq: number, rows: readonly Row[]): Promise<void> {
  const text = rows
    .map(([level, said]) => JSON.stringify([1767225600000, level, "stdout", said]))
    .join("\n");
  await stage.database.owner`
    insert into airlock.log_chunk (tenant, attempt, seq, lines, text) values ('acme', ${attempt}, ${seq}, ${rows.length}, ${text})`;
}

const events = (asked: Asked): SearchEvent[] =>
  asked.text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as SearchEvent);
const search = async (log: string, fields: Record<string, string>): Promise<SearchEvent[]> => {
  const asked = await get(`${log}/search?${new URLSearchParams(fields).toString()}`);
  expect(asked.status).toBe(200);
  return events(asked);
};
const hitsOf = (all: readonly SearchEvent[]): Hit[] =>
  all.flatMap((event) => (event.kind === "hit" ? [event] : []));
const info = (count: number, word = "row"): Row[] =>
  Array.from({ length: count }, (_, i) => ["info", `${word} ${i}`]);

test("the facts count lines by level, over all attempts of a try, and name the first error", async () => {
  const log = await logged([
    [info(3), [["warning", "careful"]]],
    [
      [
        ["debug", 'says ","error"," in its text'],
        ["error", "broken"],
        ["critical", "gone"],
      ],
    ],
  ]);
  const { body } = await get(log);
  expect(body).toMatchObject({
    lines: 7,
    levels: { debug: 1, info: 3, warning: 1, error: 1, critical: 1 },
    first_error: 6,
    grows: false,
    attempts: [
      { from: 1, lines: 4, outcome: "lost", reason: "its worker died" },
      { from: 5, lines: 3 },
    ],
  });
  expect(body.tries[0]).toBe(lastTry);
});

test("a try that has not begun is an empty log, not an error", async () => {
  const { status, body } = await get(logOf("orders_etl", "acme", 99));
  expect(status).toBe(200);
  expect(body).toMatchObject({ lines: 0, attempts: [], first_error: null });
  expect((await get(`${logOf("orders_etl", "acme", 99)}/lines`)).body.lines).toEqual([]);
  expect((await get(`${logOf("orders_etl", "acme", 99)}/text`)).text).toBe("");
});

test("a window is the lines asked for, over chunks and attempts, and empty beyond the end", async () => {
  const log = await logged([[info(3, "a"), info(2, "b")], [info(4, "c")]]);
  const numbers = async (search_: string): Promise<unknown[]> =>
    ((await get(`${log}/lines?${search_}`)).body.lines as unknown[][]).map((line) => [
      line[0],
      line[4],
    ]);
  expect(await numbers("from=2&count=4")).toEqual([
    [3, "a 2"],
    [4, "b 0"],
    [5, "b 1"],
    [6, "c 0"],
  ]);
  expect(await numbers("from=8&count=2000")).toEqual([[9, "c 3"]]);
  expect(await numbers("from=9")).toEqual([]);
  expect(await numbers("line=9&count=5")).toEqual([[9, "c 3"]]);
  expect((await get(`${log}/lines?count=2001`)).status).toBe(422);
  expect((await get(`${log}/lines?from=-1`)).status).toBe(422);
  expect((await get(`${log}/lines?level=loud`)).status).toBe(422);
});

test("with a level, rows are counted among the lines at or above it", async () => {
  const rows: Row[] = [
    ["info", "1"],
    ["warning", "2"],
    ["info", "3"],
    ["error", "4"],
  ];
  const log = await logged([[rows, info(2), rows]]);
  const { body } = await get(`${log}/lines?level=warning&from=1&count=2`);
  expect(body.from).toBe(1);
  expect(body.lines.map((line: unknown[]) => line[0])).toEqual([4, 8]);
  const at = await get(`${log}/lines?level=warning&line=5&count=1`);
  expect([at.body.from, at.body.lines[0][0]]).toEqual([2, 8]);
});

test("a long line is cut in a window, and whole in pieces", async () => {
  const long = `${"x".repeat(10_000_000)}end`;
  const log = await logged([[[["info", long]]]]);
  const { body } = await get(`${log}/lines`);
  expect(body.lines[0][4]).toHaveLength(4_000);
  expect(body.lines[0][5]).toBe(long.length);
  const piece = await get(`${log}/line?line=1&from=9999995`);
  expect(piece.body).toEqual({ line: 1, from: 9_999_995, length: long.length, text: "xxxxxend" });
  expect((await get(`${log}/line?line=2`)).status).toBe(404);
});

test("what no reader expects in a row is an empty line, and the numbers after it hold", async () => {
  const log = await logged([[info(1)]]);
  const [row] = await stage.database.owner<{ attempt: string }[]>`
    select attempt from airlock.attempt where tenant = 'acme' and try_number = ${lastTry}`;
  await stage.database.owner`
    insert into airlock.log_chunk (tenant, attempt, seq, lines, text)
    values ('acme', ${row?.attempt ?? ""}, 1, 4, ${'not json\n{"a":1}\n[1e999,7,null,{}]\n[1,"info","task","last \\ud800\\u0000"]'})`;
  const { body, status } = await get(`${log}/lines`);
  expect(status).toBe(200);
  expect(body.lines.map((line: unknown[]) => [line[0], line[4]])).toEqual([
    [1, "row 0"],
    [2, ""],
    [3, ""],
    [4, ""],
    [5, "last \ud800\0"],
  ]);
  expect((await get(`${log}/text?times=true`)).status).toBe(200);
});

test("a search finds text in any spelling of capitals, with places, and only of the level", async () => {
  const log = await logged([
    [
      info(5),
      [
        ["info", "a Timeout, then a TIMEOUT"],
        ["error", 'said "timeout"\ttwice'],
      ],
      info(5),
    ],
    [[["info", "\\x1b[31mtime\\x1b[0mout in red"]]],
  ]);
  const hits = hitsOf(await search(log, { find: "timeout" }));
  expect(hits.map(({ line }) => line)).toEqual([6, 7, 13]);
  expect(hits[0]?.marks).toEqual([
    [2, 9],
    [18, 25],
  ]);
  expect(hits[2]).toMatchObject({ text: "timeout in red", marks: [[0, 7]] });
  expect(hitsOf(await search(log, { find: "TIMEOUT", caps: "true" })).map((h) => h.line)).toEqual([
    6,
  ]);
  expect(hitsOf(await search(log, { find: '"timeout"\t' })).map((h) => h.line)).toEqual([7]);
  expect(hitsOf(await search(log, { find: "timeout", level: "error" })).map((h) => h.line)).toEqual(
    [7],
  );
  expect((await search(log, { find: "nowhere" })).at(-1)).toEqual({
    kind: "end",
    hits: 0,
    more: null,
  });
});

test("a search says from where to go on, and goes on from there", async () => {
  const log = await logged([[info(50), info(50)], [info(50)]]);
  const first = await search(log, { find: "row", limit: "60" });
  expect(first.at(-1)).toEqual({ kind: "end", hits: 60, more: 60 });
  const rest = await search(log, { find: "row", after: "60" });
  expect(hitsOf(rest).map(({ line }) => line)).toEqual(
    Array.from({ length: 90 }, (_, i) => 61 + i),
  );
  expect(rest.at(-1)).toMatchObject({ kind: "end", more: null });
});

test("an expression is searched for without backtracking", async () => {
  const log = await logged([
    [[["info", `${"a".repeat(16_000)}b`]], [["info", "code 4711 and code 12"]]],
  ]);
  // With backtracking this one would not end.
  expect(hitsOf(await search(log, { find: "(a+)+$", regexp: "true" }))).toEqual([]);
  const hits = hitsOf(await search(log, { find: "CODE (\\d+)", regexp: "true" }));
  expect(hits).toMatchObject([
    {
      line: 2,
      marks: [
        [0, 9],
        [14, 21],
      ],
    },
  ]);
});

test.each([
  ["(?=a)b", "Lookahead"],
  ["(a)\\1", "backreferences"],
  ["(", "missing closing )"],
  [".{1000}".repeat(30), "too large"],
])("an expression that cannot be searched for is refused with words: %s", async (find, words) => {
  const asked = await get(
    `${logOf()}/search?${new URLSearchParams({ find, regexp: "1" }).toString()}`,
  );
  expect(asked.status).toBe(422);
  expect(asked.text).toContain(words);
});

test("a search whose reader goes ends its work", async () => {
  const log = await logged([Array.from({ length: 40 }, () => info(500, "needle"))]);
  const response = await stage.api.fetch(
    new Request(`http://localhost:8080${log}/search?find=needle+\\d&regexp=1`, {
      headers: { authorization: `Bearer ${stage.tokens.ann}` },
    }),
    { ip: "192.0.2.1" },
  );
  const reader = response.body?.getReader();
  expect((await reader?.read())?.done).toBe(false);
  await reader?.cancel();
  // The thread is free for the next one, which gets its answer.
  expect(hitsOf(await search(log, { find: "needle 499$", regexp: "1" }))).toHaveLength(40);
});

test("groups are told with their ends and depths, over chunks", async () => {
  const log = await logged([
    [
      [
        ["info", "::group::Install"],
        ["info", "x"],
        ["info", "::group::Inner"],
      ],
      [
        ["info", "::endgroup::"],
        ["info", "::endgroup::"],
        ["info", "::endgroup::"],
        ["info", "::group::Open"],
      ],
    ],
  ]);
  expect((await get(`${log}/groups`)).body).toEqual({
    groups: [
      { from: 1, to: 5, depth: 0, title: "Install" },
      { from: 3, to: 4, depth: 1, title: "Inner" },
      { from: 7, to: null, depth: 0, title: "Open" },
    ],
    more: null,
  });
  expect((await get(log)).body.group_chunks).toBe(2);
});

test("the text is the lines as they were printed, with colours for a terminal or without, whole or a range", async () => {
  const log = await logged([
    [[["error", "\\x1b[31mred\\x1b[0m \\x1b]0;title\\x07"]], info(3)],
    [info(2, "again")],
  ]);
  const whole = await get(`${log}/text?save=1`);
  expect(whole.text).toBe(
    "\u001b[31mred\u001b[0m \\x1b]0;title\\x07\nrow 0\nrow 1\nrow 2\nagain 0\nagain 1\n",
  );
  expect(whole.headers.get("content-disposition")).toMatch(
    /^attachment; filename="orders_etl\.extract\.\d+\.log"$/,
  );
  expect((await get(`${log}/text?from=3&to=5&colours=0`)).text).toBe("row 1\nrow 2\nagain 0\n");
  expect((await get(`${log}/text?to=1&times=1&colours=0`)).text).toBe(
    "2026-01-01T00:00:00.000Z ERROR red \\x1b]0;title\\x07\n",
  );
});

test("an archived attempt is in the text, and said to be archived", async () => {
  const log = "/t/acme/api/ui/dags/orders_etl/dagRuns/r1/taskInstances/extract/tries/2/log";
  expect((await get(log)).body.attempts).toMatchObject([{ archived: true, lines: 0 }]);
  expect((await get(`${log}/text`)).text).toBe("archived 1\narchived 2\n");
});

test("a log that grows says so, and its new lines are there", async () => {
  const log = await logged([[info(2)]], "running");
  expect((await get(log)).body).toMatchObject({ lines: 2, grows: true });
  const [row] = await stage.database.owner<{ attempt: string }[]>`
    select attempt from airlock.attempt where tenant = 'acme' and try_number = ${lastTry}`;
  await addChunk(row?.attempt ?? "", 1, info(2, "new"));
  expect((await get(log)).body).toMatchObject({ lines: 4, grows: true });
  expect((await get(`${log}/lines?from=2`)).body.lines).toHaveLength(2);
  await stage.database.owner`
    update airlock.attempt set state = 'ended' where tenant = 'acme' and attempt = ${row?.attempt ?? ""}`;
});

test("who may not read the DAG's log learns nothing of it", async () => {
  for (const rest of ["", "/lines", "/line?line=1", "/groups", "/search?find=a", "/text"]) {
    expect((await get(`${logOf("fin_report")}${rest}`, "nob")).status).toBe(404);
    expect((await get(`${logOf("orders_etl")}${rest}`, "gil")).status).toBe(404);
    expect((await get(`${logOf("orders_etl")}${rest}`, "eve")).status).toBe(404);
    expect((await get(`${logOf("secret_plan", "globex")}${rest}`)).status).toBe(404);
    expect((await get(`${logOf("no_such_dag")}${rest}`)).status).toBe(404);
  }
});
