/**
 * Copying what was selected with the mouse, also beyond the screen: the browser forgets the beginning of a selection
 * when its row is scrolled away, so we remember its line, and what is not on the page comes from the server.
 */
import { type RefObject, useEffect, useRef } from "react";
import type { LineRange } from "./copy-lines.ts";
import { rangeOf } from "./copy-lines.ts";

export function useSelectionCopy(
  box: RefObject<HTMLElement | null>,
  lines: number,
  copy: (range: LineRange) => void,
): void {
  const latest = useRef({ lines, copy });
  latest.current = { lines, copy };
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    let anchor: number | undefined;
    let focus: number | undefined;
    const lineOf = (node: Node | null): number | undefined => {
      const row = (node instanceof Element ? node : node?.parentElement)?.closest("[data-line]");
      const line =
        row instanceof HTMLElement && element.contains(row) ? row.dataset["line"] : undefined;
      return line === undefined ? undefined : Number(line);
    };
    const onMouseDown = (event: MouseEvent): void => {
      if (event.button !== 0) return;
      const line = lineOf(event.target as Node);
      if (!event.shiftKey) anchor = line;
      focus = line;
    };
    // The pointer knows the row that it is on also where the browser lost the selection with the row it began in.
    const onMouseMove = (event: MouseEvent): void => {
      if ((event.buttons & 1) === 0 || anchor === undefined) return;
      focus = lineOf(event.target as Node) ?? focus;
    };
    const onMouseDownAnywhere = (event: MouseEvent): void => {
      if (!element.contains(event.target as Node)) anchor = undefined;
    };
    const onSelection = (): void => {
      const line = lineOf(document.getSelection()?.focusNode ?? null);
      if (line !== undefined) focus = line;
    };
    const onKeyDown = (event: KeyboardEvent): void => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "a") return;
      if (!element.contains(document.activeElement)) return;
      // All of the log, not all of the page.
      event.preventDefault();
      anchor = 1;
      focus = latest.current.lines;
      document.getSelection()?.selectAllChildren(element);
    };
    const onCopy = (event: ClipboardEvent): void => {
      const selection = document.getSelection();
      if (anchor === undefined || focus === undefined || selection === null) return;
      const range = rangeOf(anchor, focus, latest.current.lines);
      const isInSight =
        element.querySelector(`[data-line="${String(range.from)}"]`) !== null &&
        element.querySelector(`[data-line="${String(range.to)}"]`) !== null;
      if (selection.isCollapsed && (isInSight || anchor === focus)) return;
      if (isInSight) {
        const text = selectedText(element, selection);
        if (text === undefined) return;
        event.clipboardData?.setData("text/plain", text);
        event.preventDefault();
        return;
      }
      event.preventDefault();
      latest.current.copy(range);
    };
    element.addEventListener("mousedown", onMouseDown);
    element.addEventListener("mousemove", onMouseMove);
    document.addEventListener("mousedown", onMouseDownAnywhere);
    document.addEventListener("selectionchange", onSelection);
    document.addEventListener("keydown", onKeyDown);
    document.addEventListener("copy", onCopy);
    return () => {
      element.removeEventListener("mousedown", onMouseDown);
      element.removeEventListener("mousemove", onMouseMove);
      document.removeEventListener("mousedown", onMouseDownAnywhere);
      document.removeEventListener("selectionchange", onSelection);
      document.removeEventListener("keydown", onKeyDown);
      document.removeEventListener("copy", onCopy);
    };
  }, [box]);
}

/** Rows lie one below the other by their transforms, not in the order of the page: put into that of the lines. */
function selectedText(element: HTMLElement, selection: Selection): string | undefined {
  const parts: { line: number; text: string }[] = [];
  for (const row of element.querySelectorAll<HTMLElement>("[data-line]")) {
    if (!selection.containsNode(row, true)) continue;
    const said = row.querySelector(".tenant-text");
    if (said === null || !selection.containsNode(said, true)) continue;
    const part = document.createRange();
    part.selectNodeContents(said);
    const all = selection.getRangeAt(0);
    if (all.compareBoundaryPoints(Range.START_TO_START, part) > 0)
      part.setStart(all.startContainer, all.startOffset);
    if (all.compareBoundaryPoints(Range.END_TO_END, part) < 0)
      part.setEnd(all.endContainer, all.endOffset);
    parts.push({ line: Number(row.dataset["line"]), text: part.toString() });
  }
  if (parts.length === 0) return undefined;
  return parts
    .toSorted((a, b) => a.line - b.line)
    .map(({ text }) => text)
    .join("\n");
}
