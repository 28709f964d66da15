import { expect, test } from "vitest";
import { whyReplayEnded } from "./restore-backup.ts";

const at = "2026-11-25 00:05:01.297 UTC [2882]";
const early = `${at} FATAL:  the database system is starting up`;

test.each([
  ["nothing", "", undefined],
  ["only early askers", `${early}\n${at} LOG:  database system is ready`, undefined],
  [
    "the archive ends too early, and somebody asked before",
    `${early}\n${at} FATAL:  recovery ended before configured recovery target was reached\n${at} LOG:  shutting down`,
    "The archived changes end before that moment. Leave --at out to replay all that there are.",
  ],
  [
    "another reason",
    `${early}\n${at} FATAL:  could not restore file "0000" from archive: command not found`,
    'Postgres could not replay the archived changes: could not restore file "0000" from archive: command not found.',
  ],
])("why a replay ended: %s", (_name, log, why) => {
  expect(whyReplayEnded(log)).toBe(why);
});
