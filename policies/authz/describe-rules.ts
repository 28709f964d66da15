/** The built-in roles for people: which deeds each has, the ones it takes over from the role below included. */
import { actionBundles, builtInRoles } from "../rules/built-in.ts";

export const roleNames: readonly string[] = builtInRoles;

export function deedsOfRole(role: string): readonly string[] {
  const within = (bundle: string): readonly string[] =>
    actionBundles
      .filter(([, container]) => container === bundle)
      .flatMap(([part]) => (part.startsWith("b:") ? within(part) : [part]));
  return within(`b:${role}`).toSorted();
}
