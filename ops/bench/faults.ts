import type { Bench } from "./world.ts";
export const faults: readonly Bench[] = [];
