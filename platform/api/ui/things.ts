import type { Endpoint } from "../endpoint.ts";

export const thingsEndpoints: readonly Endpoint[] = [];
