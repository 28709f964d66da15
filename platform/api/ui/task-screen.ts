import type { Endpoint } from "../endpoint.ts";

export const taskScreenEndpoints: readonly Endpoint[] = [];
