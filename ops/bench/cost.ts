import type { Bench } from "./world.ts";
export const cost: readonly Bench[] = [];
