import type { Endpoint } from "../endpoint.ts";

export const gridEndpoints: readonly Endpoint[] = [];
