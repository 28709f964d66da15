/**
 * Stories of the engine as text. Each stanza is a command, a line of dashes, and what the engine answered.
 * `REWRITE=1 npx vitest run test/scenarios` writes the answers anew; the diff is the review.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compileDag } from "../../platform/engine/compile-dag.ts";
import { planClear, planMark } from "../../platform/engine/plan-clear.ts";
import { recount } from "../../platform/engine/recount.ts";
import { RunInMemory } from "../../platform/engine/run-in-memory.ts";
import { known } from "../../platform/model/ids.ts";
import { readDagSpec } from "../../platform/model/read-dag-spec.ts";
import type { InstanceKey, RunDecisions, RunEvent } from "../../platform/model/run.ts";

const folder = import.meta.dirname;
const rewrite = process.env["REWRITE"] === "1";
const stories = readdirSync(folder).filter((name) => name.endsWith(".txt"));

test("there are stories to tell", () => expect(stories.length).toBeGreaterThanOrEqual(8));

for (const file of stories)
  test(file.replace(".txt", "").replaceAll("-", " "), () => {
    const before = readFileSync(join(folder, file), "utf8");
    const after = replay(before);
    if (rewrite) writeFileSync(join(folder, file), after);
    else expect(after).toBe(before);
  });

function replay(text: string): string {
  let run: RunInMemory | undefined;
  const stanzas = text
    .trim()
    .split(/\n\n+/)
    .map((stanza) => {
      const command = (stanza.split(/^----$/m)[0] ?? "").trimEnd();
      const lines = command.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
      let answer: string[] = [];
      if (lines[0]?.startsWith("dag")) run = declare(lines);
      else if (run && lines[0]) answer = obey(run, lines[0]);
      return [command, "----", ...answer].join("\n");
    });
  return `${stanzas.join("\n\n")}\n`;
}

/** `dag level=2`, then `  extract retries=1 map=source -> load, report` and `  group g map=source`. */
function declare([head = "", ...lines]: readonly string[]): RunInMemory {
  const tasks: object[] = [];
  const groups: object[] = [];
  for (const line of lines) {
    const [left = "", right = ""] = line.split("->");
    const [first = "", ...words] = left.trim().split(/\s+/);
    const [id, options] = first === "group" ? [words[0] ?? "", words.slice(1)] : [first, words];
    const option = readOptions(options);
    const map = option["map"];
    const source = /^\d+$/.test(map ?? "")
      ? { kind: "literal", length: Number(map) }
      : { kind: "task", task_id: map };
    const mapped = map === undefined ? {} : { map: { kind: "product", sources: [source] } };
    if (first === "group") groups.push({ group_id: id, ...mapped });
    else
      tasks.push({
        task_id: id,
        downstream: right
          .split(",")
          .map((one) => one.trim())
          .filter((one) => one !== ""),
        retries: Number(option["retries"] ?? 0),
        retry_delay_s: Number(option["delay"] ?? 60),
        ...(option["rule"] === undefined ? {} : { trigger_rule: option["rule"] }),
        ...(option["group"] === undefined ? {} : { group: option["group"] }),
        is_setup: options.includes("setup"),
        is_teardown: options.includes("teardown"),
        ...(options.includes("inline") ? { runs_in: "inline" } : {}),
        ...(options.includes("branch") ? { decides: "branch" } : {}),
        ...(options.includes("short_circuit") ? { decides: "short_circuit" } : {}),
        ...mapped,
      });
  }
  const read = readDagSpec({
    dag_id: "story",
    level: readOptions(head.split(" "))["level"] ?? "3",
    groups,
    tasks,
  });
  if (!read.ok) throw new Error(read.problem.map((one) => one.message).join("\n"));
  return new RunInMemory(compileDag(read.value), {
    dag_id: read.value.dag_id,
    run_id: known.run("r"),
    run_type: "manual",
    state: "queued",
    has_instances: false,
    unfinished: 0,
    failed_leaves: 0,
  });
}

function obey(run: RunInMemory, line: string): string[] {
  const words = line.trim().split(/\s+/);
  const [verb = "", name = ""] = words;
  const option = readOptions(words);
  const atMs = Number(option["at"] ?? 0) * 1000;
  const list = (key: string): string[] | undefined =>
    option[key]?.split(",").filter((one) => one !== "");
  const ref = {
    ...keyOf(name),
    try_number: Number(words.find((one) => one.startsWith("#"))?.slice(1) ?? 1),
  };
  const turn = (event: RunEvent): string[] => describe(run.turn([event], atMs));
  switch (verb) {
    case "start":
      return turn({ kind: "run_started" });
    case "claim":
      run.move(ref, "scheduled", "queued");
      run.move(ref, "queued", "running");
      return [];
    case "ok": {
      claimIfScheduled(run, ref);
      const [followed, skipped] = [list("followed"), list("skipped")];
      return turn({
        kind: "attempt_succeeded",
        ...ref,
        ...(followed || skipped
          ? { skip: { ...(followed ? { followed } : {}), ...(skipped ? { skipped } : {}) } }
          : {}),
        ...(option["length"] === undefined ? {} : { mapped_length: Number(option["length"]) }),
      });
    }
    case "fail":
      claimIfScheduled(run, ref);
      return turn({
        kind: "attempt_failed",
        ...ref,
        retryable: !words.includes("final"),
        reason: option["reason"] ?? "error",
      });
    case "stopped":
      return turn({ kind: "attempt_stopped", ...ref });
    case "retry_due":
      return turn({ kind: "timer_fired", ...ref, timer: "retry" });
    case "clear": {
      const keys = planClear(run.dag, run.instances(), {
        tasks: [keyOf(name).map_index < 0 ? keyOf(name).task_id : keyOf(name)],
        upstream: words.includes("upstream"),
        downstream: words.includes("downstream"),
        only_failed: words.includes("failed"),
        only_running: false,
      });
      return turn({ kind: "instances_cleared", keys });
    }
    case "mark": {
      const state = words.includes("failed") ? "failed" : "success";
      const plan = planMark(run.dag, run.instances(), {
        tasks: [keyOf(name).map_index < 0 ? keyOf(name).task_id : keyOf(name)],
        upstream: false,
        downstream: false,
        state,
      });
      return [
        ...turn({ kind: "instances_marked", keys: plan.mark, state }),
        ...turn({ kind: "instances_cleared", keys: plan.clear }),
      ];
    }
    case "timeout":
      return turn({ kind: "run_timed_out" });
    case "stop_run":
      return turn({ kind: "run_marked", state: "failed", reason: "stopped" });
    case "show": {
      const found = recount(run.dag, run.instances());
      expect([run.run.unfinished, run.run.failed_leaves]).toEqual([
        found.unfinished,
        found.failedLeaves,
      ]);
      return run
        .instances()
        .map((row) => `${nameOf(row)} ${row.state ?? "none"} #${row.try_number}`);
    }
    default:
      throw new Error(`unknown command ${line}`);
  }
}

function claimIfScheduled(
  run: RunInMemory,
  ref: InstanceKey & { readonly try_number: number },
): void {
  const row = run.instance(ref);
  if (row?.state !== "scheduled" || row.try_number !== ref.try_number) return;
  run.move(ref, "scheduled", "queued");
  run.move(ref, "queued", "running");
}

function describe(decisions: RunDecisions): string[] {
  const created = decisions.created.map(
    (row) =>
      `${nameOf(row)} created ${row.state ?? "none"}${row.try_number > 0 ? ` #${row.try_number}` : ""}`,
  );
  const changed = decisions.states.map((change) => {
    const marks = [
      change.try_number === change.from_try_number ? "" : ` #${change.try_number}`,
      change.stop ? " stop" : "",
      change.reason === undefined ? "" : ` (${change.reason})`,
    ];
    return `${nameOf(change)} ${change.from ?? "none"} > ${change.to ?? "none"}${marks.join("")}`;
  });
  return [
    ...decisions.expanded.map((task) => `${task} expanded`),
    ...created,
    ...changed,
    ...decisions.timers.map((t) => `${nameOf(t)} ${t.timer} at ${t.due_ms / 1000}`),
    ...(decisions.run && decisions.run.from !== decisions.run.state
      ? [
          `run ${decisions.run.from} > ${decisions.run.state}${decisions.run.ended ? ` (${decisions.run.ended})` : ""}`,
        ]
      : []),
  ];
}

const nameOf = (key: InstanceKey): string =>
  key.map_index < 0 ? key.task_id : `${key.task_id}[${key.map_index}]`;

function keyOf(name: string): InstanceKey {
  const [, task = name, index] = /^(.*?)\[(\d+)\]$/.exec(name) ?? [];
  return { task_id: known.task(task), map_index: index === undefined ? -1 : Number(index) };
}

const readOptions = (words: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    words
      .filter((word) => word.includes("="))
      .map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]),
  );
