import { useNow } from "../frame/now.ts";
import { timeText, useZone } from "../frame/zone.ts";
import { agoText, durationText } from "./durations.ts";

/** A moment in the person's zone; the tip says the other way to tell it. */
export function Time({
  at,
  withMs = false,
}: {
  readonly at: string | null | undefined;
  readonly withMs?: boolean;
}) {
  const zone = useZone();
  if (at === null || at === undefined) return <span className="text-muted">–</span>;
  return (
    <time
      dateTime={at}
      title={`${timeText(at, "UTC", true)} UTC`}
      className="tabular-nums whitespace-nowrap"
    >
      {timeText(at, zone, withMs)}
    </time>
  );
}

/** How long ago, or in how long; it moves on by itself. */
export function Ago({ at }: { readonly at: string | null | undefined }) {
  const zone = useZone();
  const now = useNow();
  if (at === null || at === undefined) return <span className="text-muted">–</span>;
  return (
    <time dateTime={at} title={timeText(at, zone)} className="tabular-nums whitespace-nowrap">
      {agoText(Date.parse(at), now)}
    </time>
  );
}

/** From a start to an end, or to the present. */
export function Lasting({
  from,
  to,
}: {
  readonly from: string | null;
  readonly to: string | null;
}) {
  const now = useNow(from !== null && to === null);
  if (from === null) return <span className="text-muted">–</span>;
  const until = to === null ? now : Date.parse(to);
  return (
    <span className="tabular-nums whitespace-nowrap">
      {durationText((until - Date.parse(from)) / 1000)}
    </span>
  );
}
