import type { Endpoint } from "../endpoint.ts";

export const logEndpoints: readonly Endpoint[] = [];
