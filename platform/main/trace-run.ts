import { attemptSpan, emitSpan, rootSpan } from "../../ops/telemetry/trace.ts";
import type { RunKey, TenantId } from "../model/ids.ts";
import type { Store } from "../store/open.ts";
import { readTraceFacts, type TraceFacts } from "../store/trace-facts.ts";

/** The root span of a run, written once it is over, by whichever process ended it. */
export async function traceRun(store: Store, tenant: TenantId, run: RunKey): Promise<void> {
  const facts = await readTraceFacts(store, tenant, run);
  if (facts === undefined) return;
  const failed = facts.state !== "success";
  const result = failed ? (facts.reason === "timed_out" ? "timeout" : "failure") : "success";
  emitSpan(
    `RUN ${facts.dag_id}`,
    {
      "airlock.tenant": tenant,
      "airlock.dag": facts.dag_id,
      "airlock.run.id": facts.run_id,
      "airlock.run.type": facts.run_type,
      "airlock.run.trigger": facts.triggered_by,
      "airlock.dag.version": facts.version,
      "cicd.pipeline.name": facts.dag_id,
      "cicd.pipeline.run.id": facts.run_id,
      "cicd.pipeline.result": result,
      "vcs.repository.name": facts.repository,
      "vcs.ref.head.revision": facts.commit,
      ...(failed ? { "error.type": result } : {}),
    },
    {
      ids: rootSpan(facts.trace),
      kind: "server",
      links: linksOf(facts),
      start: facts.started_at ?? facts.queued_at,
      end: facts.ended_at,
      failed,
    },
  );
}

function linksOf(facts: TraceFacts) {
  const { by_trace: by, by_attempt: attempt, trace_before: before, deploy_trace: sync } = facts;
  return [
    ...(by === null
      ? []
      : [
          {
            ...(attempt === null ? rootSpan(by) : attemptSpan(by, attempt, facts.by_fence ?? 1)),
            why: "triggered by",
          },
        ]),
    ...(before === null ? [] : [{ ...rootSpan(before), why: "cleared" }]),
    ...(sync === null ? [] : [{ ...rootSpan(sync), why: "deployed by" }]),
  ];
}
