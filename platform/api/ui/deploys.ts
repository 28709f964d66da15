import type { Endpoint } from "../endpoint.ts";

export const deploysEndpoints: readonly Endpoint[] = [];
