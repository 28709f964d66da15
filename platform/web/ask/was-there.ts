import { useRef } from "react";

/**
 * Whether this screen has shown the thing before. What was read is dropped when the server says that it is not there
 * (any more, or for this person): a screen that had it says so in other words than one that never had.
 * `name`: of the thing; another thing begins anew.
 */
export function useWasThere(name: string, data: unknown): boolean {
  const shown = useRef<string>(undefined);
  if (data !== undefined) shown.current = name;
  return shown.current === name;
}
