import type { Endpoint } from "../endpoint.ts";

export const sourceEndpoints: readonly Endpoint[] = [];
