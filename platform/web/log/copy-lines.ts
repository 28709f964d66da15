/** Copies lines that are not on the screen: the server has them all. */
import { askRaw } from "../ask/ask-server.ts";
import { countText } from "../parts/durations.ts";
import { say, sayFailed } from "../parts/toasts.tsx";
import { type LogTarget, logPath } from "./log-address.ts";

/** More is no longer for a clipboard. */
export const copyLinesMax = 100_000;

export type LineRange = { readonly from: number; readonly to: number };

/** In order, and within the log. */
export function rangeOf(a: number, b: number, lines: number): LineRange {
  const from = Math.min(Math.max(1, Math.min(a, b)), Math.max(1, lines));
  return { from, to: Math.min(Math.max(a, b, 1), Math.max(1, lines)) };
}

export async function copyLines(target: LogTarget, { from, to }: LineRange): Promise<void> {
  const many = to - from + 1;
  if (many > copyLinesMax) {
    sayFailed(
      `${countText(many)} lines are too many to copy`,
      new Error(`up to ${countText(copyLinesMax)} can be; “Download” has them all.`),
    );
    return;
  }
  try {
    const path = logPath(target, "/text", { from, to, colours: false });
    const text = askRaw(path).then((response) => response.blob());
    // The clipboard is told at once that text comes: after a wait a browser no longer believes that a person asked.
    await navigator.clipboard.write([
      new ClipboardItem({
        "text/plain": text.then((blob) => new Blob([blob], { type: "text/plain" })),
      }),
    ]);
    say(many === 1 ? "Copied one line" : `Copied ${countText(many)} lines`);
  } catch (error) {
    sayFailed("The lines could not be copied", error);
  }
}
