/** A JSON value as a tree that opens step by step; text, never markup, whatever it holds. */
import { ChevronDown, ChevronRight, ClipboardCopy } from "lucide-react";
import { useMemo, useState } from "react";
import { IconButton } from "./button.tsx";
import { copy } from "./copy-as.tsx";
import {
  type Container,
  Digits,
  depthShownMax,
  isContainer,
  type JsonRow,
  jsonRows,
  jsonText,
  pageSize,
  readJson,
  scalarText,
  sizeOf,
  type Unfolded,
  unfoldTo,
} from "./json-rows.ts";
import { sayFailed } from "./toasts.tsx";

/** `text`: JSON as it came, whose numbers then keep all their digits; `value`: what was read already. */
export function JsonView({
  value,
  text,
  openDepth = 2,
  label = "Value",
}: {
  readonly value?: unknown;
  readonly text?: string;
  readonly openDepth?: number;
  readonly label?: string;
}) {
  const read = useMemo(() => (text === undefined ? { value } : safely(text)), [text, value]);
  if ("problem" in read)
    return <pre className="tenant-text max-h-96 overflow-auto p-2">{read.problem}</pre>;
  return <Tree value={read.value} openDepth={openDepth} label={label} />;
}

function safely(text: string): { readonly value: unknown } | { readonly problem: string } {
  try {
    return { value: readJson(text) };
  } catch {
    return { problem: text.slice(0, 10_000) };
  }
}

function Tree({
  value,
  openDepth,
  label,
}: {
  readonly value: unknown;
  readonly openDepth: number;
  readonly label: string;
}) {
  const first = useMemo(() => unfoldTo(value, openDepth), [value, openDepth]);
  const [changed, setChanged] = useState<{ readonly from: Unfolded; readonly now: Unfolded }>();
  const unfolded = changed?.from === first ? changed.now : first;
  const rows = useMemo(() => jsonRows(value, unfolded), [value, unfolded]);
  const show = (of: Container, count: number): void => {
    const now = new Map(unfolded);
    if (count === 0) now.delete(of);
    else now.set(of, count);
    setChanged({ from: first, now });
  };
  return (
    <div className="group relative">
      <IconButton
        name={`Copy ${label.toLowerCase()} as JSON`}
        className="absolute top-0 right-0 z-10 bg-surface opacity-60 hover:opacity-100 focus:opacity-100"
        onClick={() => {
          const all = jsonText(value);
          if (all === undefined) sayFailed("It could not be copied", "it is nested too deeply");
          else copy(all);
        }}
      >
        <ClipboardCopy size={14} />
      </IconButton>
      <ul aria-label={label} className="overflow-x-auto py-1 pr-8 font-mono text-[0.92em]">
        {rows.map((row, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a row is its place in the tree as it is unfolded
          <Row key={at} row={row} show={show} />
        ))}
      </ul>
      {rows.length >= 5_000 && (
        <p className="text-sm text-muted">More than 5,000 rows are open: the rest is not shown.</p>
      )}
    </div>
  );
}

function Row({
  row,
  show,
}: {
  readonly row: JsonRow;
  readonly show: (of: Container, count: number) => void;
}) {
  const indent = {
    paddingLeft: `${String(Math.min(row.depth, depthShownMax) * 1.1 + 0.25)}rem`,
  };
  if (row.kind === "more")
    return (
      <li style={indent}>
        <button
          type="button"
          className="text-accent underline"
          onClick={() => show(row.of, row.shown + pageSize * 5)}
        >
          {`${row.left} more`}
        </button>
      </li>
    );
  const { name, value } = row;
  const key =
    name === undefined ? null : (
      <>
        <span className="tenant-text text-accent">
          {name.length > 250 ? `${name.slice(0, 250)}…` : name}
        </span>
        <span className="text-muted">: </span>
      </>
    );
  if (!isContainer(value))
    return (
      <li style={indent} className="pl-4">
        <span className="inline-block w-4" />
        {key}
        <Scalar value={value} />
      </li>
    );
  const size = sizeOf(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (size === 0)
    return (
      <li style={indent}>
        <span className="inline-block w-4" />
        {key}
        <span className="text-muted">{`${open ?? ""}${close ?? ""}`}</span>
      </li>
    );
  return (
    <li style={indent}>
      <button
        type="button"
        aria-expanded={row.isOpen}
        className="inline-flex max-w-full items-baseline rounded text-left hover:bg-sunken"
        onClick={() => show(value, row.isOpen ? 0 : pageSize)}
      >
        <span className="w-4 shrink-0 self-center text-muted">
          {row.isOpen ? (
            <ChevronDown size={12} aria-hidden />
          ) : (
            <ChevronRight size={12} aria-hidden />
          )}
        </span>
        <span>
          {key}
          <span className="text-muted">
            {row.isOpen
              ? open
              : `${open ?? ""} ${size} ${Array.isArray(value) ? (size === 1 ? "item" : "items") : size === 1 ? "key" : "keys"} ${close ?? ""}`}
          </span>
        </span>
      </button>
    </li>
  );
}

function Scalar({ value }: { readonly value: unknown }) {
  const [whole, setWhole] = useState(false);
  const { text, cut } = scalarText(value);
  const isText = typeof value === "string";
  const colour = isText
    ? ""
    : typeof value === "number" || value instanceof Digits
      ? "text-(--state-running)"
      : "text-warn";
  return (
    <>
      <span className={`tenant-text whitespace-pre-wrap ${colour}`}>
        {whole && isText ? JSON.stringify(value.slice(0, 100_000)) : text}
      </span>
      {cut > 0 && !whole && (
        <button type="button" className="ml-1 text-accent underline" onClick={() => setWhole(true)}>
          {`${cut} more characters`}
        </button>
      )}
    </>
  );
}
