/** Light or dark: what the person chose on this machine, else what the machine is set to. */
import { useSyncExternalStore } from "react";

export type Theme = "light" | "dark";
export type ThemeChoice = Theme | "system";

const key = "airlock.theme";
const machine = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();

const readChoice = (): ThemeChoice => {
  const kept = localStorage.getItem(key);
  return kept === "light" || kept === "dark" ? kept : "system";
};
const themeNow = (): Theme => {
  const choice = readChoice();
  return choice === "system" ? (machine.matches ? "dark" : "light") : choice;
};

export function followTheme(): void {
  const show = (): void => {
    document.documentElement.dataset["theme"] = themeNow();
    for (const hear of listeners) hear();
  };
  machine.addEventListener("change", show);
  window.addEventListener("storage", show);
  chosen = show;
  show();
}
let chosen = (): void => undefined;

export function chooseTheme(choice: ThemeChoice): void {
  if (choice === "system") localStorage.removeItem(key);
  else localStorage.setItem(key, choice);
  chosen();
}

const listen = (hear: () => void): (() => void) => {
  listeners.add(hear);
  return () => listeners.delete(hear);
};
/** For what paints itself (canvas, charts): the rest follows the style sheet. */
export const useTheme = (): Theme => useSyncExternalStore(listen, themeNow);
export const useThemeChoice = (): ThemeChoice => useSyncExternalStore(listen, readChoice);
