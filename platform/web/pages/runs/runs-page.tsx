/** All runs of a tenant: facets at the left, the list, and deeds on many of them. */
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import type { BulkPreview, ExploredRuns, RunFacets } from "../../../api/ui/runs-explorer.ts";
import { ask, path, query } from "../../ask/ask-server.ts";
import { deedWords } from "../../deeds/bulk-words.ts";
import { useKeys } from "../../frame/keys.ts";
import { serverNow } from "../../frame/now.ts";
import { useLiveQuery } from "../../live/use-live.ts";
import { Button } from "../../parts/button.tsx";
import { CopyAs } from "../../parts/copy-as.tsx";
import { countOf, countText } from "../../parts/durations.ts";
import { Input, Select } from "../../parts/fields.tsx";
import { Menu } from "../../parts/overlay.tsx";
import { Empty, Failed, Loading, PageHead } from "../../parts/panels.tsx";
import { StateMark } from "../../parts/state-mark.tsx";
import { Ago, Lasting } from "../../parts/time.tsx";
import { VirtualRows } from "../../parts/virtual-rows.tsx";
import { BulkDialog } from "./bulk-dialog.tsx";
import { search as readSearch } from "./search.ts";
import { choose, countChosen, isChosen, nothing, type Selection } from "./selection.ts";

const facetNames = {
  state: "State",
  run_type: "Type",
  dag_id: "DAG",
  tag: "Tag",
  user: "Started by",
  commit: "Commit",
} as const;
type Facet = keyof typeof facetNames;
const facetKeys = Object.keys(facetNames) as Facet[];
const sinceMs = { "1h": 3_600_000, "24h": 86_400_000, "7d": 604_800_000, "30d": 2_592_000_000 };
/** In the address for the facet value "": runs that nobody started. */
const nobody = "~";

export function RunsPage() {
  const { tenant } = useParams({ from: "/t/$tenant/runs" });
  const search = useSearch({ from: "/t/$tenant/runs" });
  const navigate = useNavigate({ from: "/t/$tenant/runs" });
  const [selection, setSelection] = useState<Selection>(nothing);
  const [focused, setFocused] = useState(0);
  const [deed, setDeed] = useState<BulkPreview["deed"]>();
  const [words, setWords] = useState(search.q ?? "");

  const searchText = JSON.stringify(search);
  const filter = useMemo(() => {
    const lists = Object.fromEntries(
      facetKeys.flatMap((facet) => {
        const values = valuesOf(search[facet]);
        return values.length === 0 ? [] : [[facet, values]];
      }),
    );
    return {
      ...lists,
      ...(search.q === undefined || search.q === "" ? {} : { text: search.q }),
      ...(search.since === undefined
        ? {}
        : { run_after_gte: new Date(serverNow() - sinceMs[search.since]).toISOString() }),
    };
    // biome-ignore lint/correctness/useExhaustiveDependencies: by what it says, not by which object says it
  }, [searchText]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another filter, another list
  useEffect(() => {
    setSelection(nothing);
    setFocused(0);
  }, [searchText]);
  useEffect(() => {
    const timer = setTimeout(() => {
      if (words !== (search.q ?? ""))
        void navigate({
          search: (old) => put(old, { q: words }),
          replace: true,
        });
    }, 200);
    return () => clearTimeout(timer);
  }, [words, search.q, navigate]);

  const base = path`/t/${tenant}/api/ui/runs`;
  const listKey = ["runs", tenant, searchText];
  const list = useInfiniteQuery({
    queryKey: listKey,
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) =>
      ask<ExploredRuns>(`${base}${query({ ...filter, limit: 200, cursor: pageParam })}`, {
        signal,
      }),
    getNextPageParam: (page) => page.next ?? undefined,
    // The list of the facets before stays until the next one is there: no flicker, no jump.
    placeholderData: keepPreviousData,
  });
  const facetKey = ["run facets", tenant, searchText];
  const facets = useQuery({
    queryKey: facetKey,
    queryFn: ({ signal }) => ask<RunFacets>(`${base}/facets${query(filter)}`, { signal }),
    placeholderData: keepPreviousData,
  });
  const aboutRuns = {
    everyMs: 1_000,
    touches: (event: { kind: string; changes?: readonly { task_id: string }[]; about?: string }) =>
      event.kind === "changes"
        ? (event.changes ?? []).some(({ task_id }) => task_id === "")
        : event.about === "bulk",
  };
  useLiveQuery([tenant], listKey, aboutRuns);
  useLiveQuery([tenant], facetKey, { ...aboutRuns, everyMs: 3_000 });

  const runs = useMemo(() => list.data?.pages.flatMap((page) => page.runs) ?? [], [list.data]);
  const keys = useMemo(() => runs.map(({ run }) => run), [runs]);
  const total = facets.data?.total ?? runs.length;
  const chosen = countChosen(selection, total);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = list;
  useEffect(() => {
    if (hasNextPage && !isFetchingNextPage && focused >= runs.length - 40) void fetchNextPage();
  }, [focused, runs.length, hasNextPage, isFetchingNextPage, fetchNextPage]);

  const open = (i: number): void => {
    const run = runs[i];
    if (run !== undefined)
      void navigate({
        to: "/t/$tenant/dags/$dag/runs/$run",
        params: { tenant, dag: run.dag_id, run: run.run_id },
      });
  };
  useKeys("Runs", {
    x: {
      does: "Choose the run, or not",
      run: () => setSelection(choose(selection, keys, focused, false)),
    },
    X: {
      does: "Choose from the last one to here",
      run: () => setSelection(choose(selection, keys, focused, true)),
    },
    "mod+a": { does: "Choose all that match", run: () => setSelection({ kind: "all" }) },
  });
  const toggle = (facet: Facet, value: string): void => {
    const old = valuesOf(search[facet]);
    const next = old.includes(value) ? old.filter((one) => one !== value) : [...old, value];
    const said = next.map((one) => (one === "" ? nobody : one)).join(",");
    void navigate({
      search: (before) => put(before, { [facet]: said }),
      replace: true,
    });
  };

  return (
    <div className="flex h-full flex-col">
      <PageHead title="Runs" crumbs={[{ text: tenant, to: "/t/$tenant", params: { tenant } }]}>
        <CopyAs api={{ path: `${base}${query(filter)}` }} />
      </PageHead>
      <div className="flex flex-wrap items-center gap-2 px-4 pb-2">
        <Input
          aria-label="Text in run id, DAG or conf"
          placeholder="Text in run id, DAG or conf"
          className="max-w-80"
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
        <Select
          aria-label="Since"
          className="max-w-40"
          value={search.since ?? ""}
          onChange={(event) => {
            const since = event.target.value;
            void navigate({
              search: (old) => put(old, { since: since in sinceMs ? (since as "1h") : "" }),
              replace: true,
            });
          }}
        >
          <option value="">All times</option>
          <option value="1h">Last hour</option>
          <option value="24h">Last 24 hours</option>
          <option value="7d">Last 7 days</option>
          <option value="30d">Last 30 days</option>
        </Select>
        <span className="text-muted" role="status">
          {facets.data?.capped === true
            ? `${countText(total)} or more runs`
            : countOf(total, "run")}
        </span>
        <span className="ml-auto flex flex-wrap items-center gap-2">
          {chosen > 0 && <strong>{countText(chosen)} chosen</strong>}
          <Button disabled={total === 0} onClick={() => setSelection({ kind: "all" })}>
            Choose all that match
          </Button>
          {chosen > 0 && <Button onClick={() => setSelection(nothing)}>Choose none</Button>}
          <Menu
            label="Deeds on the chosen runs"
            button={
              <Button look="primary" disabled={chosen === 0}>
                Do with them …
              </Button>
            }
            items={(Object.keys(deedWords) as BulkPreview["deed"][]).map((kind) => ({
              text: deedWords[kind].deed,
              danger: kind === "delete" || kind === "stop",
              onSelect: () => setDeed(kind),
            }))}
          />
        </span>
      </div>
      <div className="flex min-h-0 grow flex-col gap-2 px-4 pb-3 sm:grid sm:grid-cols-[14rem_1fr] sm:grid-rows-1">
        <FacetPanel
          facets={facets.data}
          chosen={(facet) => valuesOf(search[facet])}
          onToggle={toggle}
        />
        {list.error !== null ? (
          <Failed error={list.error} retry={() => void list.refetch()} />
        ) : list.data === undefined ? (
          <Loading what="The runs" />
        ) : runs.length === 0 ? (
          <Empty title="No run is like that.">
            <p>
              Runs come from schedules, from “Trigger” on a DAG and from the API. Take a facet away
              to see more.
            </p>
          </Empty>
        ) : (
          <VirtualRows
            label="Runs"
            count={runs.length}
            rowHeight={34}
            focused={focused}
            onFocus={setFocused}
            onOpen={open}
            className="min-h-0 grow rounded-lg border border-line bg-surface"
            row={(i) => {
              const run = runs[i];
              return run === undefined ? null : (
                <RunRow
                  tenant={tenant}
                  run={run}
                  chosen={isChosen(selection, run.run)}
                  onSeen={
                    i === runs.length - 1 && hasNextPage ? () => void fetchNextPage() : undefined
                  }
                  onChoose={(far) => setSelection(choose(selection, keys, i, far))}
                />
              );
            }}
          />
        )}
      </div>
      {deed !== undefined && (
        <BulkDialog
          tenant={tenant}
          deed={deed}
          meant={selection.kind === "all" ? { filter } : { runs: [...selection.keys] }}
          onClose={(isAsked) => {
            setDeed(undefined);
            if (isAsked) setSelection(nothing);
          }}
        />
      )}
    </div>
  );
}

type Search = ReturnType<typeof readSearch>;

/** The address with these said, or with "" no longer said. */
const put = (old: Search, change: { readonly [name: string]: string }): Search =>
  Object.fromEntries(
    Object.entries({ ...old, ...change }).filter(([, value]) => value !== ""),
  ) as Search;

const valuesOf = (raw: string | undefined): readonly string[] =>
  raw === undefined || raw === "" ? [] : raw.split(",").map((one) => (one === nobody ? "" : one));

function RunRow({
  tenant,
  run,
  chosen,
  onSeen,
  onChoose,
}: {
  readonly tenant: string;
  readonly run: ExploredRuns["runs"][number];
  readonly chosen: boolean;
  /** Of the last row that is loaded: it came into sight, the next ones are wanted. */
  readonly onSeen: (() => void) | undefined;
  readonly onChoose: (far: boolean) => void;
}) {
  const isLast = onSeen !== undefined;
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when it comes into sight
  useEffect(() => onSeen?.(), [isLast]);
  return (
    <div role="gridcell" className="flex h-full items-center gap-2 px-3 text-sm sm:gap-3">
      <input
        type="checkbox"
        aria-label={`Choose ${run.dag_id} ${run.run_id}`}
        className="size-4 shrink-0 accent-(--accent)"
        checked={chosen}
        onChange={() => undefined}
        onClick={(event) => onChoose(event.shiftKey)}
      />
      <StateMark state={run.state} />
      <Link
        to="/t/$tenant/dags/$dag"
        params={{ tenant, dag: run.dag_id }}
        className="tenant-text w-[26%] shrink-0 truncate hover:underline sm:w-44"
        title={run.dag_id}
      >
        {run.dag_id}
      </Link>
      <Link
        to="/t/$tenant/dags/$dag/runs/$run"
        params={{ tenant, dag: run.dag_id, run: run.run_id }}
        className="tenant-text min-w-0 grow truncate font-medium hover:underline"
        title={run.reason ?? run.run_id}
      >
        {run.run_id}
      </Link>
      <span className="hidden w-24 text-muted lg:block">{run.run_type}</span>
      <span className="tenant-text hidden w-24 truncate text-muted lg:block">{run.user ?? ""}</span>
      <code className="hidden w-20 text-muted xl:block">{run.commit.slice(0, 8)}</code>
      <span className="hidden w-24 text-right md:block">
        <Lasting from={run.started_at} to={run.ended_at} />
      </span>
      <span className="shrink-0 text-right text-muted sm:w-24">
        <Ago at={run.run_after} />
      </span>
    </div>
  );
}

function FacetPanel({
  facets,
  chosen,
  onToggle,
}: {
  readonly facets: RunFacets | undefined;
  readonly chosen: (facet: Facet) => readonly string[];
  readonly onToggle: (facet: Facet, value: string) => void;
}) {
  const [isOpen, setOpen] = useState(false);
  const count = facetKeys.reduce((sum, facet) => sum + chosen(facet).length, 0);
  return (
    <>
      <Button
        className="self-start sm:hidden"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        {isOpen ? "Hide the facets" : count === 0 ? "Facets …" : `Facets (${count} chosen) …`}
      </Button>
      <section
        aria-label="Facets"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also while there is nothing in it to be focused
        tabIndex={0}
        className={`${isOpen ? "" : "max-sm:hidden"} max-h-[45vh] overflow-auto rounded-lg border border-line bg-surface p-2 sm:max-h-none`}
      >
        {facetKeys.map((facet) => {
          const on = chosen(facet);
          const rows = facets?.facets[facet] ?? [];
          // What is chosen stays in sight although nothing is left of it.
          const lost = on.filter((value) => !rows.some((row) => row.value === value));
          return (
            <fieldset key={facet} className="mb-2 min-w-0">
              <legend className="px-1 font-semibold">{facetNames[facet]}</legend>
              {[...rows, ...lost.map((value) => ({ value, count: 0 }))].map(({ value, count }) => (
                <label
                  key={value}
                  className="flex items-center gap-2 rounded px-1 py-0.5 text-sm hover:bg-sunken"
                >
                  <input
                    type="checkbox"
                    className="size-3.5 shrink-0 accent-(--accent)"
                    checked={on.includes(value)}
                    onChange={() => onToggle(facet, value)}
                  />
                  {facet === "state" && (
                    <span aria-hidden>
                      <StateMark state={value} />
                    </span>
                  )}
                  <span className="tenant-text min-w-0 grow truncate" title={value}>
                    {value === "" ? "nobody" : facet === "commit" ? value.slice(0, 10) : value}
                  </span>
                  <span className="text-muted tabular-nums">{countText(count)}</span>
                </label>
              ))}
            </fieldset>
          );
        })}
      </section>
    </>
  );
}
