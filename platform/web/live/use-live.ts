/** What a screen does when something changes. */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { type LiveEvent, openLive } from "./stream.ts";

let shared: ReturnType<typeof openLive> | undefined;
const live = () => (shared ??= openLive());

/** Calls back for each event of these tenants (and for resets). */
export function useLive(tenants: readonly string[], onEvent: (event: LiveEvent) => void): void {
  const current = useRef(onEvent);
  current.current = onEvent;
  const names = tenants.join(",");
  useEffect(() => {
    if (names === "") return;
    const wanted = new Set(names.split(","));
    const leave = live().look([...wanted]);
    const stop = live().listen((event) => {
      if (event.kind === "changes") {
        const changes = event.changes.filter(({ tenant }) => wanted.has(tenant));
        if (changes.length > 0) current.current({ kind: "changes", changes });
      } else if (event.kind === "reset" || wanted.has(event.tenant)) current.current(event);
    });
    return () => {
      leave();
      stop();
    };
  }, [names]);
}

/**
 * The usual answer to a change: ask again, at most once per `everyMs`, at the latest that long after the change.
 * `touches`: whether the event is about what this query shows (default: all).
 */
export function useLiveQuery(
  tenants: readonly string[],
  queryKey: readonly unknown[],
  {
    everyMs = 500,
    touches = () => true,
  }: { readonly everyMs?: number; readonly touches?: (event: LiveEvent) => boolean } = {},
): void {
  const client = useQueryClient();
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const last = useRef(0);
  const key = JSON.stringify(queryKey);
  useLive(tenants, (event) => {
    if (event.kind !== "reset" && !touches(event)) return;
    if (timer.current !== undefined) return;
    const wait = Math.max(0, last.current + everyMs - performance.now());
    timer.current = setTimeout(() => {
      timer.current = undefined;
      last.current = performance.now();
      void client.invalidateQueries({ queryKey: JSON.parse(key) as unknown[] });
    }, wait);
  });
  useEffect(() => () => clearTimeout(timer.current), []);
}
