import { styleText } from "node:util";
import type { Ink } from "../local/write-findings.ts";

/** Colours for a stream that is a terminal and wants them (NO_COLOR, FORCE_COLOR). */
export function inkFor(stream: NodeJS.WriteStream): Ink {
  const paint =
    (style: Parameters<typeof styleText>[0]) =>
    (text: string): string =>
      styleText(style, text, { stream });
  return {
    bold: paint("bold"),
    dim: paint("dim"),
    red: paint("red"),
    green: paint("green"),
    yellow: paint("yellow"),
    cyan: paint("cyan"),
  };
}
