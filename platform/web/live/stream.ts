/**
 * One stream of changes per browser, shared by its tabs: HTTP/1.1 allows six connections, and a person has many
 * tabs. The tab that holds the lock reads the stream and passes on what comes; when it closes, another one does.
 *
 *   a tab's screens ──interest──► channel ──► the reader ──► GET /api/platform/live?tenant=…&after=…
 *   the reader ──change, notice, reset, rights──► channel ──► every tab
 */
import { lost, reached } from "../ask/connection.ts";
import { serverSaid } from "../frame/now.ts";

export type Change = {
  readonly tenant: string;
  readonly seq: string;
  readonly at: string;
  readonly dag_id: string;
  readonly run_id: string;
  /** "" for the run itself. */
  readonly task_id: string;
  readonly map_index: number;
  readonly try_number: number;
  readonly from_state: string | null;
  readonly to_state: string | null;
};

export type LiveEvent =
  | { readonly kind: "changes"; readonly changes: readonly Change[] }
  | {
      readonly kind: "notice";
      readonly tenant: string;
      readonly about: string;
      readonly dag_id: string;
    }
  /** Something was missed, or is no longer this person's to see: read anew. */
  | { readonly kind: "reset" };

type Message =
  | { readonly type: "interest"; readonly tab: string; readonly tenants: readonly string[] }
  /** A new reader asks who looks at what. */
  | { readonly type: "who" }
  | { readonly type: "event"; readonly event: LiveEvent }
  | { readonly type: "state"; readonly up: boolean };

const gatherMs = 50;
const interestLifeMs = 40_000;
const silenceMs = 40_000;

type Listener = (event: LiveEvent) => void;

export function openLive(): {
  listen(listener: Listener): () => void;
  /** A screen looks at these tenants. */
  look(tenants: readonly string[]): () => void;
} {
  const tab = crypto.randomUUID();
  const channel = new BroadcastChannel("airlock-live");
  const listeners = new Set<Listener>();
  const looks = new Map<symbol, readonly string[]>();
  const interests = new Map<string, { readonly tenants: readonly string[]; readonly at: number }>();
  let reader: ReturnType<typeof startReader> | undefined;

  const mine = (): readonly string[] => [...new Set([...looks.values()].flat())].toSorted();
  const hear = (event: LiveEvent): void => {
    for (const listener of listeners) listener(event);
  };
  const tellInterest = (): void => {
    const tenants = mine();
    interests.set(tab, { tenants, at: Date.now() });
    channel.postMessage({ type: "interest", tab, tenants } satisfies Message);
    follow();
  };
  const follow = (): void => {
    for (const [other, { at }] of interests)
      if (other !== tab && Date.now() - at > interestLifeMs) interests.delete(other);
    reader?.follow(
      [...new Set([...interests.values()].flatMap(({ tenants }) => tenants))].toSorted(),
    );
  };
  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    if (data.type === "interest") {
      interests.set(data.tab, { tenants: data.tenants, at: Date.now() });
      follow();
    } else if (data.type === "who") tellInterest();
    else if (data.type === "event") hear(data.event);
    else if (data.up) reached();
    else lost();
  };
  setInterval(tellInterest, interestLifeMs / 2);

  void navigator.locks.request("airlock-live", async () => {
    reader = startReader(
      (event) => {
        hear(event);
        channel.postMessage({ type: "event", event } satisfies Message);
      },
      (up) => {
        if (up) reached();
        else lost();
        channel.postMessage({ type: "state", up } satisfies Message);
      },
    );
    channel.postMessage({ type: "who" } satisfies Message);
    follow();
    // Held until the tab is gone.
    await new Promise(() => undefined);
  });

  return {
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    look(tenants) {
      const key = Symbol("look");
      looks.set(key, tenants);
      tellInterest();
      return () => {
        looks.delete(key);
        // A moment later: the next screen most often looks at the same tenant.
        setTimeout(tellInterest, 1_000);
      };
    },
  };
}

/** Keeps a stream open over the tenants it is told to follow, and goes on from the last event after a gap. */
function startReader(tell: (event: LiveEvent) => void, state: (up: boolean) => void) {
  let source: EventSource | undefined;
  let followed = "";
  let place = "";
  let pending: Change[] = [];
  let failures = 0;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let silence: ReturnType<typeof setTimeout> | undefined;

  const flush = (): void => {
    if (pending.length > 0) tell({ kind: "changes", changes: pending.splice(0) });
  };
  /** The server says something every fifteen seconds: a line that says nothing is cut, though nobody told us. */
  const heard = (): void => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      failures += 1;
      state(false);
      open();
    }, silenceMs);
  };
  const open = (): void => {
    clearTimeout(retry);
    source?.close();
    if (followed === "") return;
    heard();
    const search = new URLSearchParams(followed.split(",").map((tenant) => ["tenant", tenant]));
    if (place !== "") search.set("after", place);
    const mine = new EventSource(`/api/platform/live?${search.toString()}`);
    source = mine;
    const missedSome = failures > 0;
    mine.addEventListener("ping", heard);
    mine.addEventListener("hello", ({ data }: MessageEvent<string>) => {
      serverSaid(Date.parse((JSON.parse(data) as { at: string }).at));
      failures = 0;
      state(true);
      // Nothing to go on from: whatever changed during the gap was not told.
      if (missedSome && place === "") tell({ kind: "reset" });
    });
    mine.addEventListener("change", ({ data, lastEventId }: MessageEvent<string>) => {
      place = lastEventId;
      heard();
      pending.push(JSON.parse(data) as Change);
      if (pending.length === 1) setTimeout(flush, gatherMs);
    });
    mine.addEventListener("notice", ({ data, lastEventId }: MessageEvent<string>) => {
      place = lastEventId;
      const { tenant, kind, dag_id } = JSON.parse(data) as {
        tenant: string;
        kind: string;
        dag_id: string;
      };
      tell({ kind: "notice", tenant, about: kind, dag_id });
    });
    mine.addEventListener("reset", () => tell({ kind: "reset" }));
    mine.addEventListener("rights", () => tell({ kind: "reset" }));
    mine.onerror = () => {
      mine.close();
      if (source !== mine) return;
      failures += 1;
      void again();
    };
  };
  /** Was it the network, or is this person no longer let in? Only the first is worth the banner. */
  const again = async (): Promise<void> => {
    const answer = await fetch("/api/platform/session").catch(() => undefined);
    if (answer?.status === 401) {
      tell({ kind: "reset" });
      return;
    }
    if (answer === undefined || answer.status >= 500) state(false);
    else if (failures > 1) tell({ kind: "reset" });
    clearTimeout(retry);
    retry = setTimeout(open, Math.min(300 * 2 ** failures, 5_000));
  };
  // Only a hint: a machine without a network still reaches a server of its own. Whether this one answers is asked, and
  // asked again: an answer that was under way may have said that all is well.
  window.addEventListener("offline", () => {
    if (source === undefined) return;
    failures += 1;
    source.close();
    void again();
  });
  window.addEventListener("online", open);
  return {
    follow(tenants: readonly string[]): void {
      const next = tenants.slice(0, 50).join(",");
      if (next === followed) return;
      followed = next;
      open();
    },
  };
}
