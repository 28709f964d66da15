import { type Door, type DoorDeps, openDoor } from "../../platform/runs/advance-run.ts";

/** A door that tells nobody: for whoever plays the scheduler and the workers by hand. Its problems are thrown. */
export const openQuietDoor = (deps: Pick<DoorDeps, "store" | "dags" | "leaseSeconds">): Door =>
  openDoor({
    ...deps,
    changed: () => undefined,
    stopped: () => undefined,
    timerSet: () => undefined,
    runEnded: () => undefined,
    onProblem: (message, error) => {
      throw new Error(message, { cause: error });
    },
  });
