/** Apart from the sorting itself, since every page's address is read before any page is loaded. */
export const sortKeys = ["name", "last", "state", "next", "lasts", "owner", "schedule"] as const;
export type SortKey = (typeof sortKeys)[number];
