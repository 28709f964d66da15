/** Who is signed in, and where they may look. */
import { useQuery } from "@tanstack/react-query";
import type { Me } from "../../api/admin/session.ts";
import { ask, Problem } from "./ask-server.ts";

export type { Me };

/** null: nobody is signed in. undefined: not known yet. */
export function useMe(): Me | null | undefined {
  const { data } = useQuery({
    queryKey: ["me"],
    queryFn: async ({ signal }) => {
      try {
        return await ask<Me>("/api/platform/session", { signal });
      } catch (error) {
        if (error instanceof Problem && error.status === 401) return null;
        throw error;
      }
    },
    staleTime: 60_000,
  });
  return data;
}

/** The tenant's rights of the person, for what to offer; the server decides all the same. */
export function useMay(tenant: string): (deed: Me["tenants"][number]["may"][number]) => boolean {
  const me = useMe();
  const may = me?.tenants.find((one) => one.tenant === tenant)?.may ?? [];
  return (deed) => may.includes(deed);
}

/** The page is left whole: nothing that was read stays in its memory. */
export async function signOut(): Promise<void> {
  await ask("/api/platform/session", { method: "DELETE" }).catch(() => undefined);
  window.location.assign("/sign-in");
}
