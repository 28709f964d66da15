import { durationText } from "../../parts/durations.ts";
import { StateMark } from "../../parts/state-mark.tsx";
import { Ago, Lasting } from "../../parts/time.tsx";
import {
  dagWords,
  type Line,
  type Repository,
  reasonWords,
  short,
  standing,
} from "./deploy-words.ts";

const marks = {
  live: "success",
  "was live": "success",
  failed: "failed",
  syncing: "running",
} as const;

/** The standing told by shape, word and, for what is live now, a filled badge. */
export function Standing({ is }: { readonly is: keyof typeof marks }) {
  return (
    <span
      className={`inline-flex items-center gap-1 rounded-full px-1.5 text-sm whitespace-nowrap ${is === "live" ? "bg-accent-soft font-semibold" : ""}`}
    >
      <span aria-hidden className="inline-flex">
        <StateMark state={marks[is]} />
      </span>
      {is}
    </span>
  );
}

export function DeployRow({
  line,
  all,
  repositories,
}: {
  readonly line: Line;
  readonly all: readonly Line[];
  readonly repositories: readonly Repository[];
}) {
  return (
    <div
      role="gridcell"
      className="grid h-full cursor-pointer grid-cols-[6.5rem_1fr_auto] items-center gap-x-2 px-3 text-sm"
    >
      <Standing is={standing(line, all, repositories)} />
      <div className="min-w-0">
        <p className="tenant-text truncate">
          <code className="mr-1.5 text-muted">{short(line.commit)}</code>
          {line.about?.subject ?? (line.commit === null ? "the repository could not be read" : "")}
        </p>
        <p className="tenant-text truncate text-muted">
          {repositories.length > 1 && <>{line.repository} · </>}
          {reasonWords(line)}
          {line.state !== "syncing" && <> · {dagWords(line.dags)}</>}
        </p>
      </div>
      <div className="text-right whitespace-nowrap">
        <p>
          <Ago at={line.started_at} />
        </p>
        <p className="text-muted">
          {line.errors_count > 0 && (
            <span className="mr-1.5 text-danger">
              {line.errors_count} {line.errors_count === 1 ? "error" : "errors"}
            </span>
          )}
          {line.errors_count === 0 && line.warnings_count > 0 && (
            <span className="mr-1.5 text-warn">
              {line.warnings_count} {line.warnings_count === 1 ? "warning" : "warnings"}
            </span>
          )}
          {line.ms === null ? (
            <Lasting from={line.started_at} to={line.ended_at} />
          ) : (
            durationText(line.ms / 1000)
          )}
        </p>
      </div>
    </div>
  );
}
