/** The tenants that one may see, those with something to do first. */
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Me } from "../../ask/session.ts";
import { Input } from "../../parts/fields.tsx";
import { Panel } from "../../parts/panels.tsx";

const shownMax = 50;
const filterFrom = 12;

export function TenantsPanel({
  tenants,
  counts,
}: {
  readonly tenants: Me["tenants"];
  readonly counts: ReadonlyMap<string, number>;
}) {
  const [words, setWords] = useState("");
  const wanted = words.trim().toLowerCase();
  const found = tenants
    .filter(({ tenant, display_name }) =>
      `${tenant}\n${display_name}`.toLowerCase().includes(wanted),
    )
    .toSorted((a, b) => (counts.get(b.tenant) ?? 0) - (counts.get(a.tenant) ?? 0));
  return (
    <Panel title="Tenants">
      {tenants.length >= filterFrom && (
        <div className="px-3 pt-2">
          <Input
            aria-label="Filter the tenants"
            placeholder="Filter"
            value={words}
            onChange={(event) => setWords(event.target.value)}
          />
        </div>
      )}
      <ul className="max-h-80 overflow-auto px-1 py-1 text-sm">
        {found.slice(0, shownMax).map(({ tenant, display_name, state }) => (
          <li key={tenant}>
            <Link
              to="/t/$tenant"
              params={{ tenant }}
              className="flex items-baseline gap-2 rounded px-2 py-1 hover:bg-sunken"
            >
              <span className="font-medium">{tenant}</span>
              <span className="tenant-text min-w-0 truncate text-muted">{display_name}</span>
              {state === "suspended" && <span className="text-warn">suspended</span>}
              {(counts.get(tenant) ?? 0) > 0 && (
                <span className="ml-auto whitespace-nowrap text-danger">
                  {counts.get(tenant)} to do
                </span>
              )}
            </Link>
          </li>
        ))}
        {found.length > shownMax && (
          <li className="px-2 py-1 text-muted">and {found.length - shownMax} more: filter them</li>
        )}
        {found.length === 0 && <li className="px-2 py-1 text-muted">No tenant is called so.</li>}
      </ul>
    </Panel>
  );
}
