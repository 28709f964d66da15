/** The time zone in which times are shown: the person's choice on this machine, else the machine's. */
import { useSyncExternalStore } from "react";

const key = "airlock.zone";
const listeners = new Set<() => void>();
const machine = Intl.DateTimeFormat().resolvedOptions().timeZone;

export const zoneNow = (): string => localStorage.getItem(key) ?? machine;
export const machineZone = machine;

export function chooseZone(zone: string): void {
  if (zone === machine) localStorage.removeItem(key);
  else localStorage.setItem(key, zone);
  for (const hear of listeners) hear();
}

export const useZone = (): string =>
  useSyncExternalStore((hear) => {
    listeners.add(hear);
    return () => listeners.delete(hear);
  }, zoneNow);

/** "2026-11-24 14:03:05" in the zone: sorts as it reads, the same for everybody. */
export function timeText(at: string | number | Date, zone: string, withMs = false): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return "–";
  const parts = Object.fromEntries(
    formatOf(zone)
      .formatToParts(date)
      .map(({ type, value }) => [type, value]),
  );
  const day = `${parts["year"]}-${parts["month"]}-${parts["day"]}`;
  const time = `${parts["hour"]}:${parts["minute"]}:${parts["second"]}`;
  return `${day} ${time}${withMs ? `.${String(date.getUTCMilliseconds()).padStart(3, "0")}` : ""}`;
}

const formats = new Map<string, Intl.DateTimeFormat>();
function formatOf(zone: string): Intl.DateTimeFormat {
  const kept = formats.get(zone);
  if (kept !== undefined) return kept;
  const made = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
  formats.set(zone, made);
  return made;
}
