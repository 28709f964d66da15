/**
 * The change feed: rows that the door wrote, read by cursor and handed to those who look at them right now.
 *
 *   nobody subscribed ──► no query at all
 *   subscribed ──► read on a wake-up (NOTIFY, at most one per 10 ms and process), and each second in case one was lost
 */
import { failpointsSet, hit } from "../../ops/failpoints/failpoints.ts";
import type { Logger } from "../../ops/telemetry/log.ts";
import type { TenantId } from "../model/ids.ts";
import {
  type Change,
  changesSince,
  currentSnapshot,
  oldestOpen,
  readChanges,
} from "../store/changes.ts";
import type { Store } from "../store/open.ts";

export type Feed = {
  /** Changes of one tenant from now on. `onOpen`: what commits from now on will come; who reads the present after that misses nothing. */
  subscribe(tenant: TenantId, listener: FeedListener, onOpen?: () => void): () => void;
  /** What was committed since `place` (of a batch that somebody got), in pages of the feed's own; undefined: too much, or too long ago. Some of it may have come before. */
  since(place: string, tenants: readonly TenantId[]): Promise<readonly Change[] | undefined>;
  /** Something was committed by this process: tell all others, soon. */
  changed(): void;
  close(): void;
};

/** `place`: where to go on for who lost the line in this batch or after it; some of it comes again. */
export type FeedListener = (changes: readonly Change[], place: string) => void;

type Progress = {
  /** The snapshot whose rows were all handed out. */
  read?: string;
  /** A read that goes over several pages. */
  under?: { readonly to: string; after: string };
};

const notifyEveryMs = 10;
const backstopMs = 1_000;
const batchMax = 5_000;

export async function openFeed(store: Store, log: Logger): Promise<Feed> {
  const listeners = new Map<TenantId, Set<FeedListener>>();
  /** How far it has read; one of its own for each time that somebody listens again after nobody did. */
  let progress: Progress = {};
  const opening: (() => void)[] = [];
  let reading = false;
  /** How often somebody asked for a read; one that is under way counts for those before it. */
  let asked = 0;
  let announcing: NodeJS.Timeout | undefined;
  let closed = false;

  const read = async (): Promise<void> => {
    if (closed || listeners.size === 0) return;
    asked += 1;
    if (reading) return;
    reading = true;
    try {
      let heard: number;
      do {
        heard = asked;
        await readOn(progress);
      } while (heard !== asked);
    } catch (error) {
      log.warn({ room: "live", err: error }, "cannot read the feed; trying again");
    } finally {
      reading = false;
    }
  };

  const readOn = async (mine: Progress): Promise<void> => {
    // What opens meanwhile waits for the next round: its subscriber was not there when this one looked.
    const waiting = opening.splice(0);
    try {
      if (mine.read === undefined) mine.read = await store.system(currentSnapshot);
      else {
        // A page that failed is read again on its own: those before it were handed out.
        mine.under ??= { to: await store.system(currentSnapshot), after: "0" };
        const { to } = mine.under;
        for (let isLast = false; !isLast; ) {
          const { after } = mine.under;
          const from = mine.read;
          const page = await store.system((tx) => readChanges(tx, from, to, after, batchMax));
          if (mine !== progress) return; // nobody of then listens any more
          hand(page, oldestOpen(from));
          mine.under.after = page.at(-1)?.seq ?? after;
          isLast = page.length < batchMax;
        }
        mine.read = to;
        delete mine.under;
      }
      for (const open of waiting.splice(0)) open();
    } finally {
      opening.unshift(...waiting);
    }
  };

  const announce = async (): Promise<void> => {
    if (failpointsSet) await hit("feed.before_notify");
    await store.notify("airlock_feed", "");
  };

  const hand = (changes: readonly Change[], place: string): void => {
    if (changes.length === 0) return;
    const byTenant = Map.groupBy(changes, (change) => change.tenant);
    for (const [tenant, some] of byTenant)
      for (const listener of listeners.get(tenant) ?? []) listener(some, place);
  };

  await store.listen(
    "airlock_feed",
    () => void read(),
    () => void read(),
  );
  const backstop = setInterval(() => void read(), backstopMs);
  backstop.unref();

  return {
    subscribe(tenant, listener, onOpen) {
      if (listeners.size === 0) progress = {};
      if (onOpen !== undefined) opening.push(onOpen);
      const mine = listeners.get(tenant) ?? new Set();
      mine.add(listener);
      listeners.set(tenant, mine);
      void read();
      return () => {
        mine.delete(listener);
        if (mine.size === 0) listeners.delete(tenant);
      };
    },
    since: (place, tenants) =>
      store.system(async (tx) => {
        const missed = await changesSince(tx, place, tenants, batchMax + 1);
        return missed.length > batchMax ? undefined : missed;
      }),
    changed() {
      announcing ??= setTimeout(() => {
        announcing = undefined;
        announce().catch((error: unknown) =>
          log.debug({ room: "live", err: error }, "cannot announce"),
        );
      }, notifyEveryMs);
    },
    close() {
      closed = true;
      clearInterval(backstop);
      clearTimeout(announcing);
      listeners.clear();
    },
  };
}
