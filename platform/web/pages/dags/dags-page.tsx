/** All DAGs of a tenant: filtered as one types, in any order, alive. */
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { useMe } from "../../ask/session.ts";
import { TriggerDialog } from "../../deeds/deed-dialogs.tsx";
import { useKeys } from "../../frame/keys.ts";
import { serverNow } from "../../frame/now.ts";
import { CopyAs } from "../../parts/copy-as.tsx";
import { countText } from "../../parts/durations.ts";
import { Empty, Failed, Loading, PageHead } from "../../parts/panels.tsx";
import { useNarrow } from "../../parts/use-narrow.ts";
import { VirtualRows } from "../../parts/virtual-rows.tsx";
import { columns, NarrowRow, narrowRow, WideRow, wideRow } from "./dag-row.tsx";
import { toggleFavourite, useFavourites } from "./favourites.ts";
import { NoDags } from "./no-dags.tsx";
import { type Asking, type DagFacts, factsOf, readDagQuery } from "./query.ts";
import { QueryBox } from "./query-box.tsx";
import { sortDags } from "./sort-dags.ts";
import type { SortKey } from "./sort-keys.ts";
import { useDagIndex } from "./use-dag-index.ts";

const views = [
  { text: "All", q: "" },
  { text: "Failing", q: "state:failed" },
  { text: "Running", q: "running:yes" },
  { text: "Late", q: "late:yes" },
  { text: "Paused", q: "paused:yes" },
  { text: "With errors", q: "error:yes" },
  { text: "Mine", q: "owner:me" },
  { text: "Favourites", q: "fav:yes" },
];

export function DagsPage() {
  const { tenant } = useParams({ from: "/t/$tenant/dags" });
  const search = useSearch({ from: "/t/$tenant/dags" });
  const navigate = useNavigate({ from: "/t/$tenant/dags" });
  const { data, error, refetch } = useDagIndex(tenant);
  const me = useMe()?.name ?? "";
  const favourites = useFavourites(tenant);
  const nowMs = useCoarseNow();
  const isNarrow = useNarrow(768);
  const box = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLDivElement>(null);
  // The DAG, not its place: the list moves under it as runs come and go.
  const [focus, setFocus] = useState<{ readonly dag?: string; readonly place: number }>({
    place: 0,
  });

  const q = search.q ?? "";
  const all = useFacts(data?.dags);
  const question = useMemo(() => readDagQuery(q), [q]);
  const asking = useMemo<Asking>(() => ({ me, nowMs, favourites }), [me, nowMs, favourites]);
  const shown = useMemo(
    () =>
      sortDags(
        all.filter((facts) => question.test(facts, asking)),
        search.sort,
        search.down === true,
        asking,
      ),
    [all, question, asking, search.sort, search.down],
  );
  const known = useMemo(() => knownWords(all), [all]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another question begins at its first row
  useEffect(() => setFocus({ place: 0 }), [q, search.sort, search.down, tenant]);

  const found = shown.findIndex(({ dag }) => dag.dag_id === focus.dag);
  const focused = found < 0 ? Math.min(focus.place, shown.length - 1) : found;
  const at = shown[focused];
  const setFocused = (place: number): void => {
    const dag = shown[place]?.dag.dag_id;
    setFocus(dag === undefined ? { place } : { dag, place });
  };
  const open = (facts: DagFacts | undefined): void => {
    if (facts !== undefined)
      void navigate({ to: "/t/$tenant/dags/$dag", params: { tenant, dag: facts.dag.dag_id } });
  };
  const trigger = (dag: string | undefined): void =>
    void navigate({
      search: (old) => ({ ...old, trigger: dag }),
      replace: true,
    });
  const focusList = (): void => list.current?.querySelector<HTMLElement>("[role=grid]")?.focus();
  const move = (by: number): void => {
    focusList();
    setFocused(Math.min(Math.max(focused + by, 0), Math.max(0, shown.length - 1)));
  };
  useKeys("DAGs", {
    "/": { does: "Filter the DAGs", run: () => box.current?.focus() },
    // The list takes the focus, and Enter with it: as a key of the whole page it would be taken from links and buttons.
    j: { does: "Next DAG; Enter opens it", run: () => move(1) },
    k: { does: "DAG before; Enter opens it", run: () => move(-1) },
    o: {
      does: "Open the DAG's last run",
      run: () => {
        const [last] = at?.runs ?? [];
        if (at !== undefined && last !== undefined)
          void navigate({
            to: "/t/$tenant/dags/$dag/runs/$run",
            params: { tenant, dag: at.dag.dag_id, run: last.run_id },
          });
      },
    },
    p: {
      does: "Pause the DAG, or let it go on",
      run: () =>
        list.current
          ?.querySelector<HTMLElement>(
            "[aria-selected=true] [data-deed=pause] :is([role=switch],input,button)",
          )
          ?.click(),
    },
    t: {
      does: "Start a run of the DAG",
      run: () => {
        if (at?.dag.may.trigger === true) trigger(at.dag.dag_id);
      },
    },
    f: {
      does: "Make the DAG a favourite, or no longer",
      run: () => {
        if (at !== undefined) toggleFavourite(tenant, at.dag.dag_id);
      },
    },
  });

  const order = {
    ...(search.sort === undefined ? {} : { sort: search.sort }),
    ...(search.down === undefined ? {} : { down: search.down }),
  };
  const toTrigger = all.find(({ dag }) => dag.dag_id === search.trigger && dag.may.trigger);
  const Row = isNarrow ? NarrowRow : WideRow;
  return (
    <div className="flex h-full min-h-96 flex-col">
      <PageHead crumbs={[{ text: tenant, to: "/t/$tenant", params: { tenant } }]} title="DAGs">
        <CopyAs command={["dags", "list", tenant]} api={{ path: `/t/${tenant}/api/ui/dags` }} />
      </PageHead>
      {error !== null && data === undefined ? (
        <Failed error={error} retry={() => void refetch()} />
      ) : data === undefined ? (
        <Loading what="DAGs" />
      ) : all.length === 0 ? (
        <NoDags tenant={tenant} />
      ) : (
        <>
          <div className="px-3 pb-2">
            <QueryBox
              input={box}
              value={q}
              onChange={(text) =>
                void navigate({
                  search: (old) => ({ ...old, q: text === "" ? undefined : text }),
                  replace: true,
                })
              }
              onLeave={focusList}
              problems={question.problems}
              known={known}
            />
          </div>
          <Views
            tenant={tenant}
            q={q}
            order={order}
            all={all}
            asking={asking}
            shown={shown.length}
          />
          {!data.complete && (
            <p className="px-3 pb-2 text-sm text-warn">
              There are more DAGs than the {countText(data.dags.length)} that are listed here.
            </p>
          )}
          <div ref={list} className="flex min-h-0 grow flex-col border-t border-line bg-surface">
            {shown.length === 0 ? (
              <Empty title="No DAG is like that.">
                <p>
                  {countText(all.length)} DAGs are here.{" "}
                  <Link to="/t/$tenant/dags" params={{ tenant }} className="text-accent underline">
                    Show all of them
                  </Link>
                </p>
              </Empty>
            ) : (
              <VirtualRows
                label={`DAGs of ${tenant}`}
                className="min-h-0 grow"
                count={shown.length}
                rowHeight={isNarrow ? narrowRow : wideRow}
                focused={focused}
                onFocus={setFocused}
                onOpen={(i) => open(shown[i])}
                {...(isNarrow
                  ? {}
                  : { head: <Head sort={search.sort} isDown={search.down === true} /> })}
                row={(i) => {
                  const facts = shown[i];
                  return facts === undefined ? null : (
                    <Row
                      tenant={tenant}
                      facts={facts}
                      isFavourite={favourites.has(facts.dag.dag_id)}
                      onTrigger={trigger}
                    />
                  );
                }}
              />
            )}
          </div>
        </>
      )}
      {toTrigger !== undefined && (
        <TriggerDialog
          tenant={tenant}
          dag={toTrigger.dag.dag_id}
          onClose={() => trigger(undefined)}
        />
      )}
    </div>
  );
}

/** Ready questions with their counts; any question is such a view by its address. */
function Views({
  tenant,
  q,
  order,
  all,
  asking,
  shown,
}: {
  readonly tenant: string;
  readonly q: string;
  readonly order: { readonly sort?: SortKey; readonly down?: boolean };
  readonly all: readonly DagFacts[];
  readonly asking: Asking;
  readonly shown: number;
}) {
  const counted = useMemo(
    () =>
      views.map((view) => {
        const { test } = readDagQuery(view.q);
        return { ...view, count: all.filter((facts) => test(facts, asking)).length };
      }),
    [all, asking],
  );
  return (
    <nav
      aria-label="Ready filters"
      className="flex shrink-0 items-center gap-1 overflow-x-auto px-3 pt-1 pb-2"
    >
      {counted
        .filter(({ q: own, count }) => count > 0 || own === q || own === "")
        .map((view) => (
          <Link
            key={view.text}
            to="/t/$tenant/dags"
            params={{ tenant }}
            search={{ ...order, ...(view.q === "" ? {} : { q: view.q }) }}
            replace
            aria-current={view.q === q ? "page" : undefined}
            className={`shrink-0 rounded-full border px-2.5 py-0.5 text-sm whitespace-nowrap ${
              view.q === q
                ? "border-transparent bg-accent-soft font-medium"
                : "border-line text-muted hover:bg-sunken"
            }`}
          >
            {view.text} <span className="tabular-nums">{countText(view.count)}</span>
          </Link>
        ))}
      <span role="status" className="ml-auto pl-2 text-sm whitespace-nowrap text-muted">
        {shown === all.length
          ? `${countText(all.length)} ${all.length === 1 ? "DAG" : "DAGs"}`
          : `${countText(shown)} of ${countText(all.length)} DAGs`}
      </span>
    </nav>
  );
}

function Head({ sort, isDown }: { readonly sort: SortKey | undefined; readonly isDown: boolean }) {
  const column = (by: SortKey, text: string, className = "") => (
    <HeadCell by={by} sort={sort} isDown={isDown} className={className}>
      {text}
    </HeadCell>
  );
  return (
    <div role="row" className={`${columns} h-8 border-b border-line text-sm text-muted`}>
      <span role="columnheader">
        <span className="sr-only">Favourite</span>
      </span>
      {column("name", "DAG")}
      {column("state", "Last 25 runs")}
      {column("last", "Last run")}
      {column("next", "Next run")}
      {column("lasts", "Duration", "hidden lg:block")}
      {column("schedule", "Schedule", "hidden xl:block")}
      {column("owner", "Owners", "hidden xl:block")}
      <span role="columnheader">
        <span className="sr-only">Deeds</span>
      </span>
    </div>
  );
}

function HeadCell({
  by,
  sort,
  isDown,
  className,
  children,
}: {
  readonly by: SortKey;
  readonly sort: SortKey | undefined;
  readonly isDown: boolean;
  readonly className: string;
  readonly children: ReactNode;
}) {
  const navigate = useNavigate({ from: "/t/$tenant/dags" });
  const isSorted = sort === by;
  return (
    <span
      role="columnheader"
      aria-sort={!isSorted ? "none" : isDown ? "descending" : "ascending"}
      className={`min-w-0 ${className}`}
    >
      <button
        type="button"
        tabIndex={-1}
        onClick={() =>
          // By it, the other way round, and as it was.
          void navigate({
            search: (old) => ({
              ...old,
              sort: isSorted && isDown ? undefined : by,
              down: isSorted && !isDown ? true : undefined,
            }),
            replace: true,
          })
        }
        className={`flex max-w-full items-center gap-1 truncate hover:text-text ${isSorted ? "font-semibold text-text" : ""}`}
      >
        {children}
        {isSorted && <span aria-hidden>{isDown ? "↑" : "↓"}</span>}
      </button>
    </span>
  );
}

/** Facts are made anew only of rows that changed. */
function useFacts(dags: readonly DagFacts["dag"][] | undefined): readonly DagFacts[] {
  const kept = useRef(new WeakMap<object, DagFacts>());
  return useMemo(
    () =>
      (dags ?? []).map((dag) => {
        const old = kept.current.get(dag);
        if (old !== undefined) return old;
        const made = factsOf(dag);
        kept.current.set(dag, made);
        return made;
      }),
    [dags],
  );
}

function knownWords(all: readonly DagFacts[]) {
  const sorted = (words: readonly string[]): readonly string[] => [...new Set(words)].toSorted();
  return {
    tags: sorted(all.flatMap(({ dag }) => dag.tags)),
    owners: sorted(all.flatMap(({ dag }) => dag.owners)),
    repositories: sorted(all.map(({ dag }) => dag.repository)),
  };
}

/** What is late changes with the time, and need not be asked of thousands of rows each second. */
function useCoarseNow(): number {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    const timer = setInterval(() => setNow(serverNow()), 10_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
