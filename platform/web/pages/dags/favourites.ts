/** A person's favourite DAGs, kept on this machine: they are a matter of who looks, not of the DAG. */
import { useSyncExternalStore } from "react";

const key = "airlock.favourites";
const most = 500;
const listeners = new Set<() => void>();
let read: {
  readonly text: string | null;
  readonly byTenant: ReadonlyMap<string, ReadonlySet<string>>;
} = {
  text: null,
  byTenant: new Map(),
};
const none: ReadonlySet<string> = new Set();

/** Ids of DAGs of this tenant. */
export const useFavourites = (tenant: string): ReadonlySet<string> =>
  useSyncExternalStore(subscribe, () => favouritesOf(tenant));

export function toggleFavourite(tenant: string, dagId: string): void {
  const all = readAll();
  const isOne = all.some(([t, d]) => t === tenant && d === dagId);
  const next = isOne
    ? all.filter(([t, d]) => t !== tenant || d !== dagId)
    : [...all, [tenant, dagId] as const].slice(-most);
  localStorage.setItem(key, JSON.stringify(next));
  for (const hear of listeners) hear();
}

function favouritesOf(tenant: string): ReadonlySet<string> {
  const text = localStorage.getItem(key);
  if (text !== read.text) {
    const byTenant = new Map<string, Set<string>>();
    for (const [t, d] of readAll()) byTenant.set(t, (byTenant.get(t) ?? new Set()).add(d));
    read = { text, byTenant };
  }
  return read.byTenant.get(tenant) ?? none;
}

/** What lies there may be of any age, or somebody's own doing: what is no pair of names is not there. */
function readAll(): readonly (readonly [string, string])[] {
  try {
    const raw: unknown = JSON.parse(localStorage.getItem(key) ?? "[]");
    return Array.isArray(raw)
      ? raw.flatMap((pair: unknown) =>
          Array.isArray(pair) && typeof pair[0] === "string" && typeof pair[1] === "string"
            ? [[pair[0], pair[1]] as const]
            : [],
        )
      : [];
  } catch {
    return [];
  }
}

function subscribe(hear: () => void): () => void {
  listeners.add(hear);
  // Other tabs.
  window.addEventListener("storage", hear);
  return () => {
    listeners.delete(hear);
    window.removeEventListener("storage", hear);
  };
}
