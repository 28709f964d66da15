/**
 * Loaded before a role's program: its wall clock is off by what a file says, in milliseconds, and jumps when that file
 * changes. The monotonic clock stays, as it does on a machine whose time is set.
 */
import { readFileSync } from "node:fs";

const file = process.env["AIRLOCK_STORM_CLOCK"];
if (file !== undefined) {
  const Real = Date;
  let offMs = 0;
  const read = (): void => {
    try {
      offMs = Number(readFileSync(file, "utf8")) || 0;
    } catch {
      offMs = 0;
    }
  };
  read();
  setInterval(read, 200).unref();
  class ShiftedDate extends Real {
    constructor(...at: readonly unknown[]) {
      if (at.length === 0) super(Real.now() + offMs);
      else super(...(at as [number]));
    }
    static override now(): number {
      return Real.now() + offMs;
    }
  }
  globalThis.Date = ShiftedDate as DateConstructor;
}
