/** Finds a task by a piece of its id or name; Enter or a click brings it into the middle. */
import { type RefObject, useId, useState } from "react";
import type { DagGraph } from "../../../../api/ui/graph.ts";
import { Input } from "../../../parts/fields.tsx";

const shownMax = 20;

export function FindTask({
  tasks,
  onFind,
  input,
}: {
  readonly tasks: DagGraph["tasks"];
  readonly onFind: (id: string) => void;
  readonly input: RefObject<HTMLInputElement | null>;
}) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useId();
  const wanted = text.trim().toLowerCase();
  const found =
    wanted === ""
      ? []
      : tasks.filter(({ id, name }) => `${id}\n${name}`.toLowerCase().includes(wanted));
  const shown = found.slice(0, shownMax);
  const choose = (id: string | undefined): void => {
    if (id === undefined) return;
    onFind(id);
    setText("");
  };
  return (
    <div className="relative">
      <Input
        ref={input}
        role="combobox"
        aria-label="Find a task"
        aria-expanded={shown.length > 0}
        aria-controls={list}
        aria-activedescendant={shown.length > 0 ? `${list}-${String(at)}` : undefined}
        placeholder="Find a task  /"
        className="!w-48"
        value={text}
        maxLength={250}
        onChange={({ target }) => {
          setText(target.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter") choose(shown[at]?.id);
          else if (event.key === "Escape") setText("");
          else if (event.key === "ArrowDown") setAt(Math.min(at + 1, shown.length - 1));
          else if (event.key === "ArrowUp") setAt(Math.max(at - 1, 0));
          else return;
          event.preventDefault();
        }}
      />
      {wanted !== "" && (
        <div className="absolute top-9 left-0 z-30 w-80 max-w-[85vw] rounded-lg border border-line bg-raised p-1 shadow-xl">
          <ul id={list} role="listbox" aria-label="Tasks found" className="max-h-72 overflow-auto">
            {shown.map(({ id, name, operator }, place) => (
              <li
                key={id}
                id={`${list}-${String(place)}`}
                role="option"
                aria-selected={place === at}
                onMouseDown={(event) => {
                  event.preventDefault();
                  choose(id);
                }}
                className={`cursor-pointer truncate rounded px-2 py-1 text-sm ${place === at ? "bg-accent-soft" : "hover:bg-sunken"}`}
              >
                <span className="tenant-text">{name}</span>{" "}
                <span className="text-muted">{operator}</span>
              </li>
            ))}
          </ul>
          <p className="px-2 py-1 text-xs text-muted" role="status">
            {found.length === 0
              ? "No task has this in its name."
              : found.length > shownMax
                ? `${String(found.length)} tasks; the first ${String(shownMax)} are shown`
                : `${String(found.length)} ${found.length === 1 ? "task" : "tasks"}`}
          </p>
        </div>
      )}
    </div>
  );
}
