import { useEffect, useState } from "react";
import { useTheme } from "../frame/theme.ts";
import { languageOf, type Token } from "./tokens.ts";

/** Colouring more would take longer than reading it. */
const paintedMax = 500_000;

/** Colours of the lines, once they are there; until then, and for files of other kinds, none. */
export function usePaint(
  lines: readonly string[],
  path: string,
): readonly (readonly Token[])[] | undefined {
  const theme = useTheme();
  const [painted, setPainted] = useState<{
    readonly of: readonly string[];
    readonly lines: readonly (readonly Token[])[];
  }>();
  useEffect(() => {
    const language = languageOf(path);
    const size = lines.reduce((sum, line) => sum + line.length, 0);
    if (language === undefined || size > paintedMax) return;
    const stop = new AbortController();
    import("./paint.ts")
      .then(({ paint }) => paint(lines, language, theme, stop.signal))
      .then((made) => {
        if (!stop.signal.aborted) setPainted({ of: lines, lines: made });
      })
      // Without colours it is still the code.
      .catch(() => undefined);
    return () => stop.abort();
  }, [lines, path, theme]);
  return painted?.of === lines ? painted.lines : undefined;
}
