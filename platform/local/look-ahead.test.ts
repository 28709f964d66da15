import { expect, test } from "vitest";
import { dagSpec, groupSpec } from "../../test/kit/dag-spec.ts";
import { checkParams } from "./check-params.ts";
import { drawMermaid } from "./draw-graph.ts";
import { listNextRuns } from "./list-next-runs.ts";

test("coming runs go over the change of the clocks at the same local hour", () => {
  const spec = dagSpec([{ task_id: "a" }], {
    timetable: { kind: "cron_interval", expression: "0 6 * * *", timezone: "Europe/Zurich" },
    timezone: "Europe/Zurich",
    start_date: "2026-01-01T00:00:00+01:00",
  });
  const runs = listNextRuns(spec, Date.parse("2026-03-27T12:00:00Z"), 3);
  expect(runs.map(({ run_after_ms }) => new Date(run_after_ms).toISOString())).toEqual([
    "2026-03-28T05:00:00.000Z",
    "2026-03-29T04:00:00.000Z",
    "2026-03-30T04:00:00.000Z",
  ]);
});

test("a DAG without a schedule, or past its end, has no coming runs", () => {
  expect(listNextRuns(dagSpec([{ task_id: "a" }]), 0, 5)).toEqual([]);
  const over = dagSpec([{ task_id: "a" }], {
    timetable: { kind: "cron_trigger", expression: "0 6 * * *", timezone: "UTC", interval_s: 0 },
    start_date: "2026-01-01T00:00:00Z",
    end_date: "2026-01-03T00:00:00Z",
  });
  expect(listNextRuns(over, Date.parse("2026-02-01T00:00:00Z"), 5)).toEqual([]);
});

test("a graph has groups as boxes, and a name cannot break out of its quotes", () => {
  const spec = dagSpec(
    [
      { task_id: "a", downstream: ["g.b"], decides: "branch" },
      {
        task_id: "g.b",
        group: "g",
        map: { kind: "list", sources: [{ kind: "literal", length: 2 }] },
      },
    ],
    { groups: [groupSpec({ group_id: "g" })] },
  );
  expect(drawMermaid(spec)).toBe(
    'flowchart LR\n  t0{"a"}\n  subgraph g0["g"]\n    t1["b [ ]"]\n  end\n  t0 --> t1\n',
  );
  expect(drawMermaid(dagSpec([{ task_id: 'x"]; y' }]))).toContain('t0["x#quot;]; y"]');
});

test("conf wins over a param's default and is checked against its schema", () => {
  const spec = dagSpec([{ task_id: "a" }], {
    params: {
      n: { schema: { type: "integer", minimum: 1, default: 5 } },
      must: { schema: { type: "string" } },
    },
  });
  expect(checkParams(spec, { must: "x", extra: true })).toEqual({
    ok: true,
    value: { n: 5, must: "x", extra: true },
  });
  expect(checkParams(spec, {})).toMatchObject({
    ok: false,
    problem: expect.stringContaining("must has no value") as string,
  });
  expect(checkParams(spec, { must: "x", n: 0 })).toMatchObject({
    ok: false,
    problem: "param n must be >= 1",
  });
});
