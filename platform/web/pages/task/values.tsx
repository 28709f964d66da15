/** What a task was given and what it handed on: XComs in and out, and its rendered fields. */
import { useQuery } from "@tanstack/react-query";
import { ChevronDown, ChevronRight, Download } from "lucide-react";
import type { TaskScreen, XComHead } from "../../../api/ui/task-screen.ts";
import { ask, path, query } from "../../ask/ask-server.ts";
import { bytesText } from "../../parts/durations.ts";
import { JsonView } from "../../parts/json-view.tsx";
import { Empty, Failed, Loading } from "../../parts/panels.tsx";
import { Ago } from "../../parts/time.tsx";
import type { Place } from "./place.ts";
import { TaskLink } from "./task-link.tsx";

/** More than this is for a file, not for a page. */
const shownBytesMax = 2 * 1024 * 1024;

export function XComs({
  place,
  xcoms,
  open,
  onOpen,
}: {
  readonly place: Place;
  readonly xcoms: TaskScreen["xcoms"];
  readonly open: string | undefined;
  readonly onOpen: (item: string | undefined) => void;
}) {
  if (xcoms === null)
    return (
      <Empty title="XComs are not for you to see here.">
        <p>Somebody who may grant rights on this DAG can let you read them.</p>
      </Empty>
    );
  const list = (title: string, rows: readonly XComHead[], none: string) => (
    <section className="px-3 py-2">
      <h2 className="mb-1 font-semibold">{title}</h2>
      {rows.length === 0 ? (
        <p className="text-muted">{none}</p>
      ) : (
        <ul className="flex flex-col gap-1">
          {rows.map((one) => (
            <XCom
              key={itemOf(one)}
              place={place}
              one={one}
              isOpen={open === itemOf(one) || (open === undefined && rows.length === 1)}
              onOpen={(wants) => onOpen(wants ? itemOf(one) : "none")}
            />
          ))}
        </ul>
      )}
    </section>
  );
  return (
    <>
      {list(
        "Out: what it pushed",
        xcoms.out,
        "Nothing. What a task returns, or pushes under a key, is here for the tasks after it.",
      )}
      {list(
        "In: what its upstreams pushed",
        xcoms.in,
        "Nothing was pushed by the tasks directly before it.",
      )}
      {xcoms.truncated && (
        <p className="px-3 pb-2 text-warn">There are more than are listed here.</p>
      )}
    </>
  );
}

const itemOf = ({ task_id, map_index, key }: XComHead): string =>
  `${task_id} ${String(map_index)} ${key}`;

function XCom({
  place,
  one,
  isOpen,
  onOpen,
}: {
  readonly place: Place;
  readonly one: XComHead;
  readonly isOpen: boolean;
  readonly onOpen: (wants: boolean) => void;
}) {
  const { tenant, dag, run } = place;
  const at = `${path`/t/${tenant}/api/v2/dags/${dag}/dagRuns/${run}/taskInstances/${one.task_id}/xcomEntries/${one.key}`}${query({ map_index: one.map_index })}`;
  const isLarge = one.bytes > shownBytesMax;
  return (
    <li className="rounded-md border border-line">
      <div className="flex flex-wrap items-center gap-x-3 px-2 py-1">
        <button
          type="button"
          aria-expanded={isOpen}
          onClick={() => onOpen(!isOpen)}
          className="inline-flex min-w-0 items-center gap-1 rounded text-left"
        >
          {isOpen ? <ChevronDown size={14} aria-hidden /> : <ChevronRight size={14} aria-hidden />}
          <span className="tenant-text min-w-0 font-mono">{one.key}</span>
        </button>
        <span className="text-sm text-muted">
          by <TaskLink place={place} task={one.task_id} map={one.map_index} />
        </span>
        <span className="ml-auto text-sm whitespace-nowrap text-muted">
          {bytesText(one.bytes)} · <Ago at={one.at} />
        </span>
        <a
          href={at}
          download={`${one.key.replace(/[^\w.-]/g, "_").slice(0, 100)}.json`}
          aria-label={`Download ${one.key}`}
          title="Download"
          className="inline-flex size-7 items-center justify-center rounded hover:bg-sunken"
        >
          <Download size={14} />
        </a>
      </div>
      {isOpen && (
        <div className="border-t border-line px-2 py-1">
          {isLarge ? (
            <p className="text-muted">
              {`It has ${bytesText(one.bytes)}: too much to be shown here. It can be downloaded.`}
            </p>
          ) : (
            <Value at={at} asked={[place.tenant, dag, run, itemOf(one), one.at]} name={one.key} />
          )}
        </div>
      )}
    </li>
  );
}

function Value({
  at,
  asked,
  name,
}: {
  readonly at: string;
  readonly asked: readonly string[];
  readonly name: string;
}) {
  const { data, error } = useQuery({
    queryKey: ["xcom", ...asked],
    // As text: this page's own reader keeps the digits of large numbers.
    queryFn: ({ signal }) => ask<{ value: string }>(`${at}&stringify=true`, { signal }),
  });
  if (error !== null) return <Failed error={error} />;
  if (data === undefined) return <Loading what="The value" />;
  return <JsonView text={data.value} label={name} />;
}

export function Rendered({ rendered }: { readonly rendered: TaskScreen["rendered"] }) {
  if (rendered.fields === null)
    return (
      <Empty title="No fields were rendered for this try.">
        <p>
          Fields that are templates show here as the task received them, with the values of
          connections and secret variables masked.
        </p>
      </Empty>
    );
  return (
    <div className="p-3">
      <JsonView text={rendered.fields} openDepth={3} label="Rendered fields" />
    </div>
  );
}
