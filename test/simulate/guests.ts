/** Tasks: how long a body runs and how it ends, by the dice. Told to stop it takes its time, or says that it had ended already. */
import type { TaskSpec } from "../../platform/model/dag-spec.ts";
import type { AttemptOutcome, Guests } from "../../platform/model/guest.ts";
import type { Dice } from "./dice.ts";
import { epochMs } from "./world.ts";

export type Habits = {
  readonly failure: number;
  readonly reschedule: number;
  /** Of those that run for seconds, the share. */
  readonly long: number;
};

const usage = { cpu_s: 0.01, peak_memory_bytes: 1, start_ms: 1, wall_ms: 1 };
const sensorPokesMax = 4;

export function openBodies(
  dice: Dice,
  habits: Habits,
  taskOf: (dagId: string, taskId: string) => TaskSpec | undefined,
  onBody: (attempt: string, end: boolean) => void,
): Guests {
  const pokes = new Map<string, number>();
  return {
    run(_key, start, host, signal) {
      const task = taskOf(start.dag_id, start.task_id);
      const outcome = endOf(task, start.attempt, start.push_length);
      const ms = dice.chance(habits.long)
        ? dice.between(1_000, 8_000)
        : dice.chance(0.3)
          ? dice.between(5, 400)
          : dice.rarely(2);
      onBody(start.attempt, false);
      if (dice.chance(0.2)) {
        const { dag_id, task_id, map_index } = start;
        const ref = { dag_id, run_id: start.run.run_id, task_id, map_index, key: "said" };
        void host.setXCom(ref, 1);
        void host.setRenderedFields({ said: 1 });
        void host.log([{ at: 0, level: "info", source: "task", text: "said" }]);
      }
      return new Promise<AttemptOutcome>((resolve) => {
        const timer = setTimeout(() => {
          onBody(start.attempt, true);
          resolve(outcome);
        }, ms);
        signal.addEventListener("abort", () => {
          clearTimeout(timer);
          const late = dice.chance(0.3);
          setTimeout(
            () => resolve(late ? outcome : { kind: "stopped", reason: "asked", usage }),
            dice.rarely(100),
          );
        });
      });
    },
    parse() {
      throw new Error("nothing is parsed here");
    },
  };

  function endOf(task: TaskSpec | undefined, attempt: string, pushes: boolean): AttemptOutcome {
    if (task?.sensor !== undefined) {
      const poke = (pokes.get(attempt) ?? 0) + 1;
      pokes.set(attempt, poke);
      if (poke < sensorPokesMax && dice.chance(habits.reschedule))
        return {
          kind: "reschedule",
          at: new Date(epochMs + dice.between(0, 5_000)).toISOString(),
          usage,
        };
    }
    if (dice.chance(habits.failure))
      return { kind: "failed", retryable: dice.chance(0.9), reason: "ValueError: no", usage };
    if (dice.chance(0.04)) return { kind: "skipped", usage };
    if (task?.decides === "branch") {
      const skipped = task.downstream.filter(() => dice.chance(0.5));
      return { kind: "success", skip: { skipped }, usage };
    }
    return { kind: "success", ...(pushes ? { mapped_length: 2 } : {}), usage };
  }
}
