/** What must happen now and then, whoever is there: seal the audit log, forget what is old, say that we live. */
import { failpointsSet, hit } from "../../ops/failpoints/failpoints.ts";
import type { Logger } from "../../ops/telemetry/log.ts";
import { forgetBulkDeeds } from "../store/bulk-deeds.ts";
import { forgetChanges } from "../store/changes.ts";
import { isAway, type Store } from "../store/open.ts";
import { removeExpiredSignIns } from "../store/people.ts";
import { beatRole } from "../store/role-beats.ts";
import { type ChainHead, hasUnsealedAudit, sealAudit } from "../store/seal-audit.ts";

export type HouseKeeping = { stop(): Promise<void> };

const beatEveryMs = 5_000;
const tidyEveryMs = 60 * 60 * 1000;
const changesKeptHours = 48;
const bulkDeedsKeptDays = 30;

export function keepHouse(deps: {
  readonly store: Store;
  readonly log: Logger;
  /** Keeps the heads of the audit chains outside of Postgres: a cut-off tail shows against them. */
  readonly anchor: (heads: readonly ChainHead[]) => Promise<void>;
}): HouseKeeping {
  const { store, log } = deps;
  let lastTidy = 0;
  let busy: Promise<void> | undefined;

  const round = async (): Promise<void> => {
    await store.system((tx) => beatRole(tx, "scheduler"));
    if (await store.system(hasUnsealedAudit)) {
      const heads = await store.system(sealAudit);
      if (failpointsSet) await hit("audit.before_anchor");
      if (heads.length > 0) await deps.anchor(heads);
    }
    if (performance.now() - lastTidy < tidyEveryMs && lastTidy !== 0) return;
    lastTidy = performance.now();
    await store.system((tx) => forgetChanges(tx, changesKeptHours));
    await store.system((tx) => forgetBulkDeeds(tx, bulkDeedsKeptDays));
    await store.system(removeExpiredSignIns);
  };
  const start = (): void => {
    busy ??= round()
      .catch((error: unknown) => {
        log[isAway(error) ? "debug" : "warn"](
          { room: "scheduler", err: error },
          "housekeeping failed; trying again",
        );
      })
      .finally(() => {
        busy = undefined;
      });
  };
  start();
  const timer = setInterval(start, beatEveryMs);
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      await busy;
    },
  };
}
