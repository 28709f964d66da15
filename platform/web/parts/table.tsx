/** A plain table of some rows; of many thousands is `VirtualRows`. */
import type { ReactNode } from "react";

export type Column = {
  readonly head: ReactNode;
  readonly align?: "right";
  /** For those who hear the page, where the head is an icon or empty. */
  readonly name?: string;
};

export function Table({
  label,
  columns,
  children,
}: {
  readonly label: string;
  readonly columns: readonly Column[];
  readonly children: ReactNode;
}) {
  return (
    // Focusable: a table that is wider than a phone is moved by the arrow keys.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable
    <div className="overflow-x-auto" role="region" aria-label={label} tabIndex={0}>
      <table className="w-full text-sm">
        <thead>
          <tr className="border-b border-line text-left text-muted">
            {columns.map(({ head, align, name }, i) => (
              <th
                // biome-ignore lint/suspicious/noArrayIndexKey: a fixed list
                key={i}
                scope="col"
                aria-label={name}
                className={`px-3 py-1.5 font-medium whitespace-nowrap ${align === "right" ? "text-right" : ""}`}
              >
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody className="[&>tr]:border-b [&>tr]:border-line/60 [&>tr:last-child]:border-b-0 [&_td]:px-3 [&_td]:py-1.5 [&_td]:align-top max-sm:[&_td]:min-w-28">
          {children}
        </tbody>
      </table>
    </div>
  );
}
