import type { Endpoint } from "../endpoint.ts";

export const rightsEndpoints: readonly Endpoint[] = [];
