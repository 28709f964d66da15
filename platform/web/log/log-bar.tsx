/** What one can do with a log, above it. */
import {
  ArrowDownToLine,
  CaseSensitive,
  ChevronDown,
  ChevronUp,
  Clock,
  Download,
  FoldVertical,
  GitCompare,
  OctagonAlert,
  Regex,
  UnfoldVertical,
  WrapText,
  X,
} from "lucide-react";
import { type ReactNode, type Ref, useEffect, useRef, useState } from "react";
import type { LogFacts } from "../../api/ui/log.ts";
import { type LogLevel, logLevels } from "../../model/log-text.ts";
import { Button, IconButton } from "../parts/button.tsx";
import { copy, curlOf, quoted } from "../parts/copy-as.tsx";
import { bytesText, countText } from "../parts/durations.ts";
import { Select } from "../parts/fields.tsx";
import { Menu } from "../parts/overlay.tsx";
import { type LogPlace, type LogTarget, logPath } from "./log-address.ts";
import type { TimeLook } from "./log-row.tsx";
import type { LogSearch } from "./use-log-search.ts";

export function LogBar({
  target,
  facts,
  place,
  change,
  search,
  current,
  findBox,
  onStep,
  onFirstError,
  follow,
  onFollow,
  times,
  onTimes,
  groups,
  onFoldAll,
  isAllFolded,
}: {
  readonly target: LogTarget;
  readonly facts: LogFacts;
  readonly place: LogPlace;
  readonly change: (place: Partial<Record<keyof LogPlace, unknown>>) => void;
  readonly search: LogSearch;
  readonly current: number;
  readonly findBox: Ref<HTMLInputElement>;
  readonly onStep: (by: 1 | -1) => void;
  readonly onFirstError: () => void;
  readonly follow: boolean;
  readonly onFollow: () => void;
  readonly times: TimeLook;
  readonly onTimes: (times: TimeLook) => void;
  readonly groups: number;
  readonly onFoldAll: () => void;
  readonly isAllFolded: boolean;
}) {
  const { levels } = facts;
  const least = (level: LogLevel): number =>
    logLevels.slice(logLevels.indexOf(level)).reduce((sum, one) => sum + levels[one], 0);
  const others = facts.tries.filter((one) => one !== target.tryNumber);
  return (
    <div
      role="toolbar"
      aria-label="Log"
      className="flex flex-wrap items-center gap-x-1.5 gap-y-1 border-b border-line bg-surface px-2 py-1.5"
    >
      <FindField place={place} change={change} findBox={findBox} onStep={onStep} />
      {search.state !== "none" && (
        <span className="flex items-center text-sm text-muted tabular-nums">
          <HitCount search={search} current={current} lines={facts.lines} />
          <IconButton
            name="Previous hit (N)"
            disabled={search.hits.length === 0}
            onClick={() => onStep(-1)}
          >
            <ChevronUp size={15} />
          </IconButton>
          <IconButton
            name="Next hit (n)"
            disabled={search.hits.length === 0}
            onClick={() => onStep(1)}
          >
            <ChevronDown size={15} />
          </IconButton>
          {search.state === "searching" && (
            <IconButton name="Stop the search" onClick={() => change({ find: undefined })}>
              <X size={15} />
            </IconButton>
          )}
        </span>
      )}
      <label className="flex items-center">
        <span className="sr-only">Level</span>
        <Select
          value={place.level ?? ""}
          className="w-40"
          onChange={(event) => change({ level: event.target.value || undefined })}
        >
          <option value="">All levels</option>
          {logLevels.slice(1).map((level) => (
            <option key={level} value={level}>
              {level === "critical" ? "critical" : `${level} and above`} ({countText(least(level))})
            </option>
          ))}
        </Select>
      </label>
      <Toggle
        name="Jump to the first error (e)"
        disabled={facts.first_error === null}
        onClick={onFirstError}
      >
        <OctagonAlert size={15} />
        <span className="@max-2xl:hidden">First error</span>
      </Toggle>
      {(facts.grows || follow) && (
        <Toggle name="Follow the end (f)" pressed={follow} onClick={onFollow}>
          <ArrowDownToLine size={15} />
          <span>Follow</span>
        </Toggle>
      )}
      <Toggle
        name="Wrap long lines (w)"
        pressed={place.wrap === true}
        onClick={() => change({ wrap: place.wrap !== true })}
      >
        <WrapText size={15} />
      </Toggle>
      <Menu
        label="Times"
        button={
          <IconButton name="Times">
            <Clock size={15} />
          </IconButton>
        }
        items={(
          [
            ["clock", "Time of day"],
            ["since", "Since the start of the try"],
            ["none", "No times"],
          ] as const
        ).map(([look, text]) => ({
          text,
          checked: look === times,
          onSelect: () => onTimes(look),
        }))}
      />
      {groups > 0 && place.level === undefined && (
        <IconButton name={isAllFolded ? "Open all groups" : "Fold all groups"} onClick={onFoldAll}>
          {isAllFolded ? <UnfoldVertical size={15} /> : <FoldVertical size={15} />}
        </IconButton>
      )}
      {(others.length > 0 || place.against !== undefined) && (
        <Menu
          label="Compare with another try"
          button={
            <IconButton name="Compare with another try">
              <GitCompare size={15} />
            </IconButton>
          }
          items={[
            {
              text: "Only this try",
              checked: place.against === undefined,
              onSelect: () => change({ against: undefined }),
            },
            "line",
            ...others.map((one) => ({
              text: `Against try ${String(one)}`,
              checked: place.against === one,
              onSelect: () => change({ against: one }),
            })),
          ]}
        />
      )}
      <span className="ml-auto flex items-center gap-1.5">
        <span className="text-sm whitespace-nowrap text-muted tabular-nums @max-4xl:hidden">
          {countText(facts.lines)} {facts.lines === 1 ? "line" : "lines"} · {bytesText(facts.bytes)}
        </span>
        <Menu
          label="Download"
          button={
            <IconButton name="Download">
              <Download size={15} />
            </IconButton>
          }
          items={[
            {
              text: "Text as it was printed",
              onSelect: () => window.location.assign(logPath(target, "/text", { save: true })),
            },
            {
              text: "With times and levels",
              onSelect: () =>
                window.location.assign(logPath(target, "/text", { save: true, times: true })),
            },
            {
              text: "Without colours",
              onSelect: () =>
                window.location.assign(logPath(target, "/text", { save: true, colours: false })),
            },
            "line",
            {
              text: "Copy as command",
              onSelect: () =>
                copy(
                  ["npx", "airlock", "logs", nameOf(target), "--try", String(target.tryNumber)]
                    .map(quoted)
                    .join(" "),
                ),
            },
            {
              text: "Copy as API call (curl)",
              onSelect: () => copy(curlOf({ path: logPath(target, "/text") })),
            },
          ]}
        />
      </span>
    </div>
  );
}

const nameOf = ({ tenant, dag, run, task, mapIndex }: LogTarget): string =>
  `${tenant}/${dag}/${run}/${task}${mapIndex < 0 ? "" : `[${String(mapIndex)}]`}`;

function FindField({
  place,
  change,
  findBox,
  onStep,
}: {
  readonly place: LogPlace;
  readonly change: (place: Partial<Record<keyof LogPlace, unknown>>) => void;
  readonly findBox: Ref<HTMLInputElement>;
  readonly onStep: (by: 1 | -1) => void;
}) {
  const [typed, setTyped] = useState(place.find ?? "");
  const told = useRef(place.find ?? "");
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  // What is typed is told a moment later: by then the address may say other things than when the key was pressed.
  const changeNow = useRef(change);
  changeNow.current = change;
  useEffect(() => {
    // The address changed by itself (back, a link), not by what is typed here.
    if ((place.find ?? "") === told.current) return;
    told.current = place.find ?? "";
    setTyped(told.current);
  }, [place.find]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const tell = (find: string): void => {
    clearTimeout(timer.current);
    if (find === told.current) return;
    told.current = find;
    changeNow.current({ find: find === "" ? undefined : find });
  };
  return (
    <div className="flex h-8 min-w-40 grow items-center rounded-md border border-line-strong bg-surface focus-within:outline-2 focus-within:outline-(--focus) @lg:max-w-96">
      <input
        ref={findBox}
        type="search"
        aria-label="Find in the whole log"
        placeholder="Find in the whole log  ( / )"
        maxLength={300}
        value={typed}
        className="h-full min-w-0 grow bg-transparent px-2 font-mono text-[12px] outline-none placeholder:font-sans placeholder:text-muted"
        onChange={(event) => {
          setTyped(event.target.value);
          clearTimeout(timer.current);
          timer.current = setTimeout(tell, 180, event.target.value);
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            // Chromium empties a search box on Escape: here it only leaves, and what is looked for stays.
            event.preventDefault();
            event.currentTarget.blur();
          }
          if (event.key !== "Enter") return;
          if (typed === told.current) onStep(event.shiftKey ? -1 : 1);
          else tell(typed);
        }}
      />
      <Switch
        name="Capitals matter"
        pressed={place.caps === true}
        onClick={() => change({ caps: place.caps !== true })}
      >
        <CaseSensitive size={15} />
      </Switch>
      <Switch
        name="Regular expression"
        pressed={place.regexp === true}
        onClick={() => change({ regexp: place.regexp !== true })}
      >
        <Regex size={14} />
      </Switch>
    </div>
  );
}

function HitCount({
  search,
  current,
  lines,
}: {
  readonly search: LogSearch;
  readonly current: number;
  readonly lines: number;
}) {
  const many = search.hits.length;
  const words =
    many === 0 && search.state === "done"
      ? "no hits"
      : `${current < 0 ? "" : `${countText(current + 1)} of `}${countText(many)}${search.more === null ? "" : "+"} ${many === 1 ? "hit" : "hits"}`;
  return (
    <span className="whitespace-nowrap">
      {words}
      {search.state === "searching" &&
        ` … ${lines === 0 ? 0 : Math.min(99, Math.floor((search.line / lines) * 100))} %`}
    </span>
  );
}

function Toggle({
  name,
  pressed,
  disabled = false,
  onClick,
  children,
}: {
  readonly name: string;
  readonly pressed?: boolean;
  readonly disabled?: boolean;
  readonly onClick: () => void;
  readonly children: ReactNode;
}) {
  return (
    <Button
      look="quiet"
      aria-label={name}
      title={name}
      {...(pressed === undefined ? {} : { "aria-pressed": pressed })}
      disabled={disabled}
      className={pressed === true ? "bg-accent-soft text-accent" : ""}
      onClick={onClick}
    >
      {children}
    </Button>
  );
}

function Switch({
  name,
  pressed,
  onClick,
  children,
}: {
  readonly name: string;
  readonly pressed: boolean;
  readonly onClick: () => void;
  readonly children: ReactNode;
}) {
  return (
    <button
      type="button"
      aria-label={name}
      title={name}
      aria-pressed={pressed}
      onClick={onClick}
      className={`mr-0.5 flex size-6 items-center justify-center rounded ${pressed ? "bg-accent text-accent-text" : "text-muted hover:bg-sunken"}`}
    >
      {children}
    </button>
  );
}
