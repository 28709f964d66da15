/**
 * Files that a try left behind. What a browser shows by itself opens in a frame without any right: no script runs in
 * it, it cannot send, open or navigate anything, and the file's own answer says the same once more.
 */
import { Download, Eye, EyeOff } from "lucide-react";
import type { TaskScreen } from "../../../api/ui/task-screen.ts";
import { path, query } from "../../ask/ask-server.ts";
import { Button } from "../../parts/button.tsx";
import { bytesText } from "../../parts/durations.ts";
import { Empty } from "../../parts/panels.tsx";
import { Ago } from "../../parts/time.tsx";
import type { Place } from "./place.ts";

const shownBytesMax = 20 * 1024 * 1024;
const isShown = (type: string): boolean => /^(?:text|image)\/|^application\/json\b/i.test(type);

export function Artifacts({
  place,
  artifacts,
  open,
  onOpen,
}: {
  readonly place: Place;
  readonly artifacts: TaskScreen["artifacts"];
  readonly open: string | undefined;
  readonly onOpen: (item: string | undefined) => void;
}) {
  if (artifacts === null)
    return (
      <Empty title="Artifacts are not for you to see here.">
        <p>Somebody who may grant rights on this DAG can let you read them.</p>
      </Empty>
    );
  if (artifacts.length === 0)
    return (
      <Empty title="It left no files behind.">
        <p>
          What a task writes into the folder named by <code>AIRLOCK_ARTIFACTS</code> is kept and
          shows here: reports, charts, tables.
        </p>
      </Empty>
    );
  return (
    <ul className="flex flex-col gap-2 p-3">
      {artifacts.map((one) => {
        const item = `${String(one.try_number)} ${one.name}`;
        const at = addressOf(place, one);
        const canShow = isShown(one.content_type) && one.bytes <= shownBytesMax;
        const isOpen = canShow && open === item;
        return (
          <li key={item} className="rounded-md border border-line">
            <div className="flex flex-wrap items-center gap-x-3 px-2 py-1">
              <span className="tenant-text min-w-0 font-mono">{one.name}</span>
              <span className="text-sm text-muted">
                {`try ${one.try_number} · ${bytesText(one.bytes)} · ${one.content_type.slice(0, 80)} · `}
                <Ago at={one.at} />
              </span>
              <span className="ml-auto flex items-center gap-1">
                {canShow && (
                  <Button
                    look="quiet"
                    aria-expanded={isOpen}
                    icon={isOpen ? <EyeOff size={14} /> : <Eye size={14} />}
                    onClick={() => onOpen(isOpen ? undefined : item)}
                  >
                    {isOpen ? "Hide" : "Open"}
                  </Button>
                )}
                <a
                  href={`${at}${query({ map_index: place.map })}`}
                  download
                  aria-label={`Download ${one.name}`}
                  title="Download"
                  className="inline-flex size-8 items-center justify-center rounded-md hover:bg-sunken"
                >
                  <Download size={14} />
                </a>
              </span>
            </div>
            {isOpen && (
              <iframe
                title={one.name}
                // Empty on purpose: no right at all.
                sandbox=""
                referrerPolicy="no-referrer"
                src={`${at}${query({ map_index: place.map, inline: true })}`}
                className="h-[65vh] w-full rounded-b-md border-t border-line bg-white"
              />
            )}
          </li>
        );
      })}
    </ul>
  );
}

const addressOf = (
  { tenant, dag, run, task }: Place,
  { try_number, name }: { readonly try_number: number; readonly name: string },
): string =>
  path`/t/${tenant}/api/v2/dags/${dag}/dagRuns/${run}/taskInstances/${task}/artifacts/${try_number}/${name}`;
