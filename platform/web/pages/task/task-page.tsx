import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { ChevronLeft, ChevronRight } from "lucide-react";
import { useMemo, useState } from "react";
import type { TaskScreen } from "../../../api/ui/task-screen.ts";
import { ask, Problem, path, query } from "../../ask/ask-server.ts";
import { useMay } from "../../ask/session.ts";
import { useWasThere } from "../../ask/was-there.ts";
import { ClearDialog, MarkDialog } from "../../deeds/deed-dialogs.tsx";
import { useKeys } from "../../frame/keys.ts";
import { useLiveQuery } from "../../live/use-live.ts";
import { placeIn, placeSearch } from "../../log/log-address.ts";
import { LogView } from "../../log/log-view.tsx";
import { Button, IconButton } from "../../parts/button.tsx";
import { CopyAs } from "../../parts/copy-as.tsx";
import { Empty, Failed, Loading, PageHead } from "../../parts/panels.tsx";
import { StateMark } from "../../parts/state-mark.tsx";
import { Lasting, Time } from "../../parts/time.tsx";
import { WhyLine } from "../../parts/why-line.tsx";
import type { Try } from "../run/run-data.ts";
import { TryPicker } from "../run/try-picker.tsx";
import { Artifacts } from "./artifacts.tsx";
import { Details } from "./details.tsx";
import { MappedList } from "./mapped-list.tsx";
import type { Place } from "./place.ts";
import { reproCommand } from "./repro.ts";
import type { search as readTaskSearch } from "./search.ts";
import { TabBar } from "./tab-bar.tsx";
import { Tries } from "./tries.tsx";
import { Rendered, XComs } from "./values.tsx";

const from = "/t/$tenant/dags/$dag/runs/$run/tasks/$task";
type Search = ReturnType<typeof readTaskSearch>;
type Change = { readonly [K in keyof Search]?: Search[K] | undefined };

export function TaskPage() {
  const { tenant, dag, run, task } = useParams({ from });
  const search = useSearch({ from });
  const map = search.map ?? -1;
  const key = ["task", tenant, dag, run, task, map];
  const answer = useQuery({
    queryKey: [...key, search.try],
    queryFn: ({ signal }) =>
      ask<TaskScreen>(
        `${path`/t/${tenant}/api/ui/dags/${dag}/dagRuns/${run}/taskInstances/${task}`}${query({ map_index: map, try_number: search.try })}`,
        { signal },
      ),
    placeholderData: (before) => before,
  });
  const { data, error } = answer;
  const waits = data?.why.waits === true;
  useLiveQuery([tenant], key, {
    everyMs: 1_000,
    // While it waits, what it waits for may be anybody's in the tenant.
    touches: (event) =>
      event.kind === "changes" &&
      (waits ||
        event.changes.some(
          (change) => change.dag_id === dag && change.run_id === run && change.task_id === task,
        )),
  });
  const place: Place = { tenant, dag, run, task, map };
  const crumbs = crumbsOf(place);
  const isGone = error instanceof Problem && error.status === 404;
  const wasThere = useWasThere(`${tenant} ${dag} ${run} ${task} ${map}`, data);
  if (isGone && wasThere)
    return (
      <>
        <PageHead title={task} crumbs={crumbs} />
        <Empty title="This run was deleted while you looked at it, or is no longer yours to see." />
      </>
    );
  if (isGone && map < 0)
    return (
      <div className="flex min-h-full flex-col lg:h-full">
        <PageHead title={task} crumbs={crumbs} />
        <MappedList place={place} otherwise={<Failed error={error} />} />
      </div>
    );
  if (error !== null && (data === undefined || error instanceof Problem))
    return (
      <>
        <PageHead title={task} crumbs={crumbs} />
        <Failed error={error} retry={() => void answer.refetch()} />
      </>
    );
  if (data === undefined)
    return (
      <>
        <PageHead title={task} crumbs={crumbs} />
        <Loading what="The task instance" />
      </>
    );
  return <Task place={place} data={data} refresh={() => void answer.refetch()} />;
}

const crumbsOf = ({ tenant, dag, run }: Place) => [
  { text: dag, to: "/t/$tenant/dags/$dag" as const, params: { tenant, dag } },
  { text: run, to: "/t/$tenant/dags/$dag/runs/$run" as const, params: { tenant, dag, run } },
];

function Task({
  place,
  data,
  refresh,
}: {
  readonly place: Place;
  readonly data: TaskScreen;
  readonly refresh: () => void;
}) {
  const { tenant, dag, run, task, map } = place;
  const search = useSearch({ from });
  const navigate = useNavigate({ from });
  const set = (change: Change): void =>
    void navigate({
      search: (old) => ({ ...old, ...change }) as Search,
      replace: true,
      resetScroll: false,
    });
  const may = useMay(tenant);
  const [dialog, setDialog] = useState<"clear" | "mark">();
  const goTo = (other: TaskScreen["previous"]): void => {
    if (other !== null)
      void navigate({
        to: from,
        params: { tenant, dag, run: other.run_id, task },
        search: ({ map: at, tab }) => ({ map: at, tab }) as Search,
      });
  };
  useKeys("Task instance", {
    "[": { does: "The same task in the run before", run: () => goTo(data.previous) },
    "]": { does: "The same task in the run after", run: () => goTo(data.next) },
    u: {
      does: "Up to the run",
      run: () =>
        void navigate({
          to: "/t/$tenant/dags/$dag/runs/$run",
          params: { tenant, dag, run },
          search: { task, ...(map < 0 ? {} : { map }) },
        }),
    },
    ...(may("run.clear") ? { c: { does: "Clear it", run: () => setDialog("clear") } } : {}),
    ...(may("task.mark") ? { m: { does: "Mark it", run: () => setDialog("mark") } } : {}),
  });
  const tries = useMemo(() => triesIn(data), [data]);
  const last = tries.at(-1)?.number ?? data.instance.try_number;
  const tryNumber = search.try ?? last;
  const { instance } = data;
  const name = map < 0 ? instance.name : `${instance.name}[${String(map)}]`;
  const refs = [map < 0 ? { task_id: task } : { task_id: task, map_index: map }];
  const isMapped = map >= 0;
  const command = reproCommand({
    path: data.run.path,
    dag,
    task,
    conf: data.run.conf,
    logicalDate: data.run.logical_date,
  });
  const tab = search.tab ?? "log";
  const ref = `${tenant}/${dag}/${run}/${map < 0 ? task : `${task}[${String(map)}]`}`;
  const api = path`/t/${tenant}/api/v2/dags/${dag}/dagRuns/${run}/taskInstances/${task}`;
  return (
    <div className="flex min-h-full flex-col lg:h-full">
      <PageHead
        title={name}
        crumbs={crumbsOf(place)}
        mark={<StateMark state={instance.state} size={16} />}
      >
        <IconButton
          name="The same task in the run before"
          disabled={data.previous === null}
          onClick={() => goTo(data.previous)}
        >
          <ChevronLeft size={16} />
        </IconButton>
        <IconButton
          name="The same task in the run after"
          disabled={data.next === null}
          onClick={() => goTo(data.next)}
        >
          <ChevronRight size={16} />
        </IconButton>
        {may("run.clear") && <Button onClick={() => setDialog("clear")}>Clear</Button>}
        {may("task.mark") && <Button onClick={() => setDialog("mark")}>Mark</Button>}
        <CopyAs
          command={["logs", ref]}
          api={{ path: isMapped ? `${api}/${String(map)}` : api }}
          more={[
            { text: "Command that repeats it here", value: command },
            {
              text: "Command that says why",
              value: `npx airlock why '${ref.replaceAll("'", `'\\''`)}'`,
            },
          ]}
        />
      </PageHead>
      <div className="flex flex-wrap items-baseline gap-x-5 gap-y-1 px-4 pb-2">
        <StateMark state={instance.state} withWord />
        {instance.label !== null && (
          <span className="tenant-text font-semibold">{instance.label}</span>
        )}
        <span className="text-muted">
          {`try ${String(Math.max(instance.try_number, 1))} of ${String(instance.max_tries + 1)}`}
        </span>
        {instance.started_at !== null && (
          <span>
            <Time at={instance.started_at} />
            <span className="text-muted"> for </span>
            <Lasting from={instance.started_at} to={instance.ended_at} />
          </span>
        )}
        <div
          className={`min-w-0 basis-full ${instance.state === "failed" ? "text-danger" : ""}`}
          role="note"
          aria-label="Why it is where it is"
        >
          <WhyLine tenant={tenant} why={data.why} />
        </div>
      </div>
      <TabBar
        tabs={[
          ["log", "Log"],
          [
            "xcom",
            `XComs${countOf(data.xcoms === null ? 0 : data.xcoms.in.length + data.xcoms.out.length)}`,
          ],
          ["rendered", "Rendered fields"],
          ["artifacts", `Artifacts${countOf(data.artifacts?.length ?? 0)}`],
          ["tries", `Tries${countOf(tries.length)}`],
          ...(isMapped ? [["mapped", `Mapped${countOf(sum(data))}`] as const] : []),
          ["details", "Details"],
        ]}
        chosen={tab}
        onChoose={(next) => set({ tab: next === "log" ? undefined : next, item: undefined })}
      />
      <div
        role="tabpanel"
        aria-label={tab}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys
        tabIndex={0}
        className="flex min-h-[60vh] flex-col overflow-auto bg-surface lg:min-h-0 lg:grow"
      >
        {(tab === "log" || tab === "rendered") && tries.length > 1 && (
          <div className="border-b border-line px-3 py-1">
            <TryPicker
              tries={tries}
              chosen={tryNumber}
              onChoose={(next) => set({ try: next, ...placeSearch({}) })}
            />
          </div>
        )}
        {tab === "log" &&
          (tries.length === 0 ? (
            <Empty title="It has not run yet, so there is no log.">
              <p>Its log shows here as soon as its code begins.</p>
            </Empty>
          ) : (
            <LogView
              key={tryNumber}
              tenant={tenant}
              dag={dag}
              run={run}
              task={task}
              mapIndex={map}
              tryNumber={tryNumber}
              place={placeIn(search)}
              onPlace={(next) => set(placeSearch(next))}
            />
          ))}
        {tab === "xcom" && (
          <XComs
            place={place}
            xcoms={data.xcoms}
            open={search.item}
            onOpen={(item) => set({ item })}
          />
        )}
        {tab === "rendered" && <Rendered rendered={data.rendered} />}
        {tab === "artifacts" && (
          <Artifacts
            place={place}
            artifacts={data.artifacts}
            open={search.item}
            onOpen={(item) => set({ item })}
          />
        )}
        {tab === "tries" && (
          <Tries attempts={data.attempts} onLog={(next) => set({ try: next, tab: undefined })} />
        )}
        {tab === "mapped" && <MappedList place={place} />}
        {tab === "details" && (
          <Details place={place} data={data} command={command} onChanged={refresh} />
        )}
      </div>
      {dialog !== undefined &&
        (dialog === "clear" ? (
          <ClearDialog
            {...{ tenant, dag, run }}
            tasks={refs}
            onClose={() => setDialog(undefined)}
          />
        ) : (
          <MarkDialog {...{ tenant, dag, run }} tasks={refs} onClose={() => setDialog(undefined)} />
        ))}
    </div>
  );
}

const countOf = (count: number): string => (count === 0 ? "" : ` (${String(count)})`);
const sum = (data: TaskScreen): number =>
  data.siblings.reduce((total, { count }) => total + count, 0);

function triesIn({ attempts }: TaskScreen): readonly Try[] {
  const tries = new Map<number, Try>();
  const time = (at: string | null): number | null => (at === null ? null : Date.parse(at));
  for (const one of attempts)
    tries.set(one.try_number, {
      number: one.try_number,
      outcome: one.outcome,
      started: time(one.started_at),
      ended: time(one.ended_at),
    });
  return [...tries.values()];
}
