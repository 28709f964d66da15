import type { Endpoint } from "../endpoint.ts";

export const dagIndexEndpoints: readonly Endpoint[] = [];
