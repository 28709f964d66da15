import type { Endpoint } from "../endpoint.ts";

export const capacityEndpoints: readonly Endpoint[] = [];
