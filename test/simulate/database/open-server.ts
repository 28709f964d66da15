/** The simulated Postgres, with the model of each statement that the simulated parts of the house send. */
import { admissionStatements } from "./statements/admission.ts";
import { deedStatements } from "./statements/deeds.ts";
import { queueStatements } from "./statements/queue.ts";
import { runStatements } from "./statements/runs.ts";
import { scheduleStatements } from "./statements/schedule.ts";
import { sessionStatements } from "./statements/session.ts";
import { workerStatements } from "./statements/workers.ts";

let taught = false;

export function teachStatements(): void {
  if (taught) return;
  taught = true;
  sessionStatements();
  runStatements();
  admissionStatements();
  queueStatements();
  scheduleStatements();
  workerStatements();
  deedStatements();
}
