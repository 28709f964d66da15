import type { Endpoint } from "../endpoint.ts";

export const graphEndpoints: readonly Endpoint[] = [];
