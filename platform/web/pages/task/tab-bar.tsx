/** The parts of a screen, of which one is shown; arrow keys move among them. */
import type { KeyboardEvent } from "react";

export function TabBar<T extends string>({
  tabs,
  chosen,
  onChoose,
}: {
  readonly tabs: readonly (readonly [T, string])[];
  readonly chosen: T;
  readonly onChoose: (tab: T) => void;
}) {
  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>): void => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    const at = tabs.findIndex(([tab]) => tab === chosen);
    const next = tabs[(at + step + tabs.length) % tabs.length];
    if (next === undefined) return;
    event.preventDefault();
    onChoose(next[0]);
    const buttons = event.currentTarget.querySelectorAll<HTMLElement>("[role=tab]");
    buttons[tabs.indexOf(next)]?.focus();
  };
  return (
    <div
      role="tablist"
      aria-label="Parts of this screen"
      onKeyDown={onKeyDown}
      className="flex shrink-0 gap-1 overflow-x-auto overflow-y-hidden border-b border-line px-3"
    >
      {tabs.map(([tab, words]) => (
        <button
          key={tab}
          type="button"
          role="tab"
          aria-selected={tab === chosen}
          tabIndex={tab === chosen ? 0 : -1}
          onClick={() => onChoose(tab)}
          className={`border-b-2 px-2 py-1.5 whitespace-nowrap ${tab === chosen ? "border-accent font-semibold" : "border-transparent text-muted hover:text-text"}`}
        >
          {words}
        </button>
      ))}
    </div>
  );
}
