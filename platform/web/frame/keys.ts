/** Keys: a screen says which it takes; `?` shows them all. Two keys in sequence are written with a space: "g d". */
import { useLayoutEffect, useRef, useSyncExternalStore } from "react";

export type KeySet = Readonly<Record<string, { readonly does: string; readonly run: () => void }>>;
type Section = { readonly name: string; readonly keys: () => KeySet };

let sections: readonly Section[] = [];
const listeners = new Set<() => void>();
const sequenceMs = 1_500;
let first: { readonly key: string; readonly at: number } | undefined;

const set = (next: readonly Section[]): void => {
  sections = next;
  for (const hear of listeners) hear();
};

/** The latest screen's keys win over those of the frame around it. */
export function useKeys(name: string, keys: KeySet): void {
  const current = useRef(keys);
  current.current = keys;
  // Before it is painted: a key that is pressed as soon as the screen is seen must count.
  useLayoutEffect(() => {
    const section = { name, keys: () => current.current };
    set([...sections, section]);
    return () => set(sections.filter((one) => one !== section));
  }, [name]);
}

export const useSections = (): readonly Section[] =>
  useSyncExternalStore(
    (hear) => {
      listeners.add(hear);
      return () => listeners.delete(hear);
    },
    () => sections,
  );

export function listenForKeys(): () => void {
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.altKey || isTyping(event)) return;
    const mod = event.ctrlKey || event.metaKey;
    const key = mod ? `mod+${event.key.toLowerCase()}` : event.key;
    const pair =
      first !== undefined && event.timeStamp - first.at < sequenceMs
        ? `${first.key} ${key}`
        : undefined;
    first = undefined;
    const deed = (pair === undefined ? undefined : find(pair)) ?? find(key);
    if (deed !== undefined) {
      event.preventDefault();
      deed.run();
    } else if (!mod && beginsSequence(key)) first = { key, at: event.timeStamp };
  };
  window.addEventListener("keydown", onKeyDown);
  return () => window.removeEventListener("keydown", onKeyDown);
}

const find = (key: string) =>
  sections
    .toReversed()
    .map(({ keys }) => keys()[key])
    .find((deed) => deed !== undefined);
const beginsSequence = (key: string): boolean =>
  sections.some(({ keys }) => Object.keys(keys()).some((name) => name.startsWith(`${key} `)));

/** Letters belong to the field that has the focus, and so do the chords that edit it; the others typed with Ctrl are ours. */
function isTyping(event: KeyboardEvent): boolean {
  const { target } = event;
  if ((event.ctrlKey || event.metaKey) && !"acvxyz".includes(event.key.toLowerCase())) return false;
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable ||
    ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName) ||
    target.closest("[role=dialog],[role=menu]") !== null
  );
}
