/** Tries side by side: what each took, where it ran, what ended it. */
import type { ReactNode } from "react";
import type { ScreenTry } from "../../../api/ui/task-screen.ts";
import { Button } from "../../parts/button.tsx";
import { bytesText, durationText } from "../../parts/durations.ts";
import { Empty } from "../../parts/panels.tsx";
import { StateMark } from "../../parts/state-mark.tsx";
import { Lasting, Time } from "../../parts/time.tsx";
import { stateOfTry } from "../run/try-picker.tsx";

export function Tries({
  attempts,
  onLog,
}: {
  readonly attempts: readonly ScreenTry[];
  readonly onLog: (tryNumber: number) => void;
}) {
  if (attempts.length === 0)
    return (
      <Empty title="There is no try yet.">
        <p>Each try shows here with its times, its memory and CPU, and what ended it.</p>
      </Empty>
    );
  const rows: readonly (readonly [string, (one: ScreenTry) => ReactNode])[] = [
    [
      "Ended as",
      (one) => <StateMark state={stateOfTry(one.outcome, one.ended_at !== null)} withWord />,
    ],
    ["Got its slot", (one) => <Time at={one.admitted_at} withMs />],
    ["Waited for a worker", (one) => between(one.admitted_at, one.started_at)],
    ["Started", (one) => <Time at={one.started_at} withMs />],
    [
      "Until its code ran",
      (one) => (one.start_ms === null ? "–" : durationText(one.start_ms / 1000)),
    ],
    ["Ended", (one) => <Time at={one.ended_at} withMs />],
    ["Lasted", (one) => <Lasting from={one.started_at} to={one.ended_at} />],
    ["Host", (one) => one.host ?? "–"],
    ["Peak memory", (one) => (one.peak_memory === null ? "–" : bytesText(one.peak_memory))],
    ["CPU", (one) => (one.cpu_s === null ? "–" : durationText(one.cpu_s))],
    ["Exit code", (one) => one.exit_code ?? "–"],
    ["Signal", (one) => one.signal ?? "–"],
    ["Limit hit", (one) => one.limit_hit ?? "none"],
    ["Lost workers", (one) => (one.crashes === 0 ? "none" : one.crashes)],
    ["Reason", (one) => one.reason ?? "–"],
    [
      "Log",
      (one) => (
        <Button look="quiet" onClick={() => onLog(one.try_number)}>
          {one.log_bytes > 0 ? bytesText(one.log_bytes) : "Show"}
        </Button>
      ),
    ],
  ];
  const shown = attempts.toReversed();
  return (
    <div className="overflow-x-auto">
      <table className="m-3 border-separate border-spacing-0">
        <thead>
          <tr>
            <td className="border-b border-line" />
            {shown.map((one, at) => (
              <th
                // biome-ignore lint/suspicious/noArrayIndexKey: a try may have several attempts
                key={at}
                scope="col"
                className="border-b border-line px-3 py-1 text-left font-semibold whitespace-nowrap"
              >
                {`Try ${one.try_number}`}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, cell]) => (
            <tr key={name}>
              <th
                scope="row"
                className="sticky left-0 border-b border-line/60 bg-surface px-2 py-1 text-left align-top font-normal whitespace-nowrap text-muted"
              >
                {name}
              </th>
              {shown.map((one, at) => (
                <td
                  // biome-ignore lint/suspicious/noArrayIndexKey: a try may have several attempts
                  key={at}
                  className="tenant-text max-w-96 min-w-40 border-b border-line/60 px-3 py-1 align-top"
                >
                  {cell(one)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const between = (from: string, to: string | null): string =>
  to === null ? "–" : durationText((Date.parse(to) - Date.parse(from)) / 1000);
