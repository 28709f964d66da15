import type { Endpoint } from "../endpoint.ts";

export const triggerFormEndpoints: readonly Endpoint[] = [];
