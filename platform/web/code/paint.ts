/** Colours of a text's tokens by shiki: loaded when code is first shown. Never HTML: tokens that React writes as text. */
import { createHighlighterCore, type GrammarState, type HighlighterCore } from "shiki/core";
import { createJavaScriptRegexEngine } from "shiki/engine/javascript";
import type { Theme } from "../frame/theme.ts";
import type { Language, Token } from "./tokens.ts";

let opened: Promise<HighlighterCore> | undefined;

const open = (): Promise<HighlighterCore> =>
  (opened ??= createHighlighterCore({
    themes: [
      import("shiki/themes/github-light-high-contrast.mjs"),
      import("shiki/themes/github-dark-high-contrast.mjs"),
    ],
    langs: [
      import("shiki/langs/python.mjs"),
      import("shiki/langs/typescript.mjs"),
      import("shiki/langs/yaml.mjs"),
    ],
    engine: createJavaScriptRegexEngine({ forgiving: true }),
  }));

const sliceLines = 400;

/** In slices, with a breath between them, so that a large file does not hold the page. */
export async function paint(
  lines: readonly string[],
  lang: Language,
  theme: Theme,
  signal: AbortSignal,
): Promise<readonly (readonly Token[])[]> {
  const highlighter = await open();
  const painted: (readonly Token[])[] = [];
  let grammarState: GrammarState | undefined;
  for (let from = 0; from < lines.length && !signal.aborted; from += sliceLines) {
    const result = highlighter.codeToTokens(lines.slice(from, from + sliceLines).join("\n"), {
      lang,
      theme: theme === "dark" ? "github-dark-high-contrast" : "github-light-high-contrast",
      tokenizeMaxLineLength: 2_000,
      tokenizeTimeLimit: 200,
      ...(grammarState === undefined ? {} : { grammarState }),
    });
    grammarState = result.grammarState;
    for (const line of result.tokens)
      painted.push(line.map(({ content, color }) => ({ text: content, color })));
    await new Promise((resolve) => setTimeout(resolve));
  }
  return painted;
}
