import type { Bench } from "./world.ts";
export const scale: readonly Bench[] = [];
