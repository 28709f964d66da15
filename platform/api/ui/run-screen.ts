import type { Endpoint } from "../endpoint.ts";

export const runScreenEndpoints: readonly Endpoint[] = [];
