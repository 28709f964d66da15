import { timeText, useZone } from "../../../frame/zone.ts";
import { Select } from "../../../parts/fields.tsx";
import type { VersionItem } from "./use-graph.ts";

/** Versions by number, commit and time, newest first; the chosen one is in the list even when it is older than that. */
export function VersionSelect({
  label,
  versions,
  live,
  chosen,
  none,
  onChoose,
}: {
  readonly label: string;
  readonly versions: readonly VersionItem[];
  readonly live: number | undefined;
  readonly chosen: number | undefined;
  /** What no choice means. */
  readonly none: string;
  readonly onChoose: (version: number | undefined) => void;
}) {
  const zone = useZone();
  const isListed = versions.some(({ version_number }) => version_number === chosen);
  return (
    <label className="flex items-center gap-1.5 text-sm">
      <span className="whitespace-nowrap text-muted">{label}</span>
      <Select
        className="!w-44"
        value={chosen ?? ""}
        onChange={({ target }) => onChoose(target.value === "" ? undefined : Number(target.value))}
      >
        <option value="">{none}</option>
        {chosen !== undefined && !isListed && <option value={chosen}>v{chosen}</option>}
        {versions.map(({ version_number, bundle_version, created_at }) => (
          <option key={version_number} value={version_number}>
            v{version_number} · {(bundle_version ?? "").slice(0, 8)} · {timeText(created_at, zone)}
            {version_number === live ? " · live" : ""}
          </option>
        ))}
      </Select>
    </label>
  );
}
