import { known } from "../model/ids.ts";
import type { Store } from "../store/open.ts";
import type { Scheduler } from "./run-scheduler.ts";

/** What other processes tell the scheduler. A wake-up that was lost with its connection is made up for by a look. */
export async function hearWakes(
  store: Pick<Store, "listen">,
  scheduler: Pick<Scheduler, "wake" | "startQueued">,
): Promise<void> {
  const wake = (): void => scheduler.wake();
  await store.listen("airlock_wake", wake, wake);
  await store.listen(
    "airlock_queued",
    (payload) => {
      const [tenant = "", dagId = ""] = payload.split(" ");
      scheduler.startQueued(known.tenant(tenant), known.dag(dagId));
    },
    () => undefined,
  );
}
