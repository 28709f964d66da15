import type { Endpoint } from "../endpoint.ts";

export const trendsEndpoints: readonly Endpoint[] = [];
