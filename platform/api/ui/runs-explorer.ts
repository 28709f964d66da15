import type { Endpoint } from "../endpoint.ts";

export const runsExplorerEndpoints: readonly Endpoint[] = [];
