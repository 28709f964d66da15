import type { Endpoint } from "../endpoint.ts";

export const nowEndpoints: readonly Endpoint[] = [];
