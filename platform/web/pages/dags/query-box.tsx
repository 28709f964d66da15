/** The box above the list: filters at each letter, says what it did not understand, and offers what could come next. */
import { Search, X } from "lucide-react";
import { type KeyboardEvent, type RefObject, useId, useState } from "react";
import { IconButton } from "../../parts/button.tsx";
import { type Hint, hintsAt } from "./query.ts";

export function QueryBox({
  input,
  value,
  onChange,
  onLeave,
  problems,
  known,
}: {
  readonly input: RefObject<HTMLInputElement | null>;
  readonly value: string;
  readonly onChange: (text: string) => void;
  /** Enter or the arrow down, with nothing to take: to the list. */
  readonly onLeave: () => void;
  readonly problems: readonly string[];
  readonly known: Parameters<typeof hintsAt>[2];
}) {
  const id = useId();
  const [caret, setCaret] = useState(value.length);
  const [isOpen, setOpen] = useState(false);
  const [chosen, setChosen] = useState(-1);
  const hints = isOpen ? hintsAt(value, Math.min(caret, value.length), known) : [];
  const take = (hint: Hint): void => {
    onChange(hint.text);
    setCaret(hint.caret);
    setChosen(-1);
    // A value ends the word; a key wants its value.
    setOpen(!hint.isWhole);
    // After the value is there, or the caret would land at its end.
    requestAnimationFrame(() => input.current?.setSelectionRange(hint.caret, hint.caret));
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>): void => {
    const hint = hints[chosen];
    const at = chosen;
    if (event.key === "ArrowDown" && hints.length > 0) setChosen((at + 1) % hints.length);
    else if (event.key === "ArrowUp" && hints.length > 0)
      setChosen(at <= 0 ? hints.length - 1 : at - 1);
    else if ((event.key === "Enter" || event.key === "Tab") && hint !== undefined) take(hint);
    else if (event.key === "Enter" || event.key === "ArrowDown") {
      setOpen(false);
      onLeave();
    } else if (event.key === "Escape" && isOpen && hints.length > 0) setOpen(false);
    else if (event.key === "Escape" && value !== "") onChange("");
    else if (event.key === "Escape") onLeave();
    else return;
    event.preventDefault();
  };
  return (
    <div className="min-w-0 grow">
      <div className="relative">
        <Search
          size={15}
          aria-hidden
          className="pointer-events-none absolute top-2 left-2.5 text-muted"
        />
        <input
          ref={input}
          type="text"
          role="combobox"
          aria-label="Filter the DAGs"
          aria-expanded={hints.length > 0}
          aria-controls={`${id}-hints`}
          aria-autocomplete="list"
          aria-describedby={`${id}-problems`}
          {...(hints[chosen] === undefined
            ? {}
            : { "aria-activedescendant": `${id}-${String(chosen)}` })}
          autoComplete="off"
          spellCheck={false}
          maxLength={500}
          placeholder="state:failed owner:me tag:etl late:>10m …"
          value={value}
          onChange={(event) => {
            onChange(event.target.value);
            setCaret(event.target.selectionStart ?? event.target.value.length);
            setOpen(true);
            setChosen(-1);
          }}
          onSelect={(event) => setCaret(event.currentTarget.selectionStart ?? 0)}
          onClick={() => setOpen(true)}
          onBlur={() => setOpen(false)}
          onKeyDown={onKeyDown}
          className="h-8 w-full rounded-md border border-line-strong bg-surface pr-9 pl-8 text-sm placeholder:text-muted"
        />
        {value !== "" && (
          <IconButton
            name="Clear the filter"
            className="absolute top-0 right-0"
            onClick={() => {
              onChange("");
              input.current?.focus();
            }}
          >
            <X size={14} />
          </IconButton>
        )}
        <div
          role="listbox"
          id={`${id}-hints`}
          aria-label="What may come next"
          hidden={hints.length === 0}
          className="absolute top-9 left-0 z-30 max-h-80 w-96 max-w-full overflow-auto rounded-lg border border-line bg-raised p-1 shadow-xl"
        >
          {hints.map((hint, i) => (
            <div
              key={hint.shown}
              id={`${id}-${String(i)}`}
              role="option"
              tabIndex={-1}
              aria-selected={i === chosen}
              // Not a click: the box would lose the focus before it.
              onPointerDown={(event) => {
                event.preventDefault();
                take(hint);
              }}
              className={`flex cursor-pointer items-baseline gap-3 rounded px-2 py-1 text-sm ${i === chosen ? "bg-accent-soft" : "hover:bg-sunken"}`}
            >
              <code className="tenant-text shrink-0">{hint.shown}</code>
              <span className="ml-auto truncate text-muted">{hint.says}</span>
            </div>
          ))}
        </div>
      </div>
      <div id={`${id}-problems`} role="status" className="text-sm text-warn">
        {problems.map((problem) => (
          <p key={problem} className="tenant-text pt-1">
            {problem}
          </p>
        ))}
      </div>
    </div>
  );
}
