/** What tenant code may use up: defaults, a tenant's own maxima set by admins, and wishes that can only narrow them. */
import { type Answer, bad, good } from "../../platform/model/answer.ts";
import type { GuestLimits } from "../../platform/model/guest.ts";

const kib = 1024;
const mib = 1024 * kib;
const gib = 1024 * mib;

export const defaultLimits: GuestLimits = {
  memoryBytes: 512 * mib,
  cpuPercent: 100,
  processes: 256,
  openFiles: 1024,
  fileBytes: 1 * gib,
  logBytes: 1 * gib,
  logBytesPerSecond: 10 * mib,
  xcomBytes: 8 * mib,
  artifactBytes: 1 * gib,
  parseSeconds: 30,
  wallSeconds: 0,
};

/** Bounds on a whole repository and on single DAG files; they guard the house, so no tenant sets them. */
export const repositoryBounds = {
  files: 20_000,
  fileBytes: 10 * mib,
  totalBytes: 200 * mib,
  pathCharacters: 400,
  depth: 20,
  dagFiles: 5_000,
  dagFileBytes: 1 * mib,
  dagsPerTenant: 2_000,
} as const;

type LimitKind = "size" | "count" | "cores" | "seconds";
type LimitName = {
  readonly key: string;
  readonly field: keyof GuestLimits;
  readonly kind: LimitKind;
};

/** The outside names (airlock.yaml, API) of the limits. */
export const limitNames: readonly LimitName[] = [
  { key: "memory", field: "memoryBytes", kind: "size" },
  { key: "cpu", field: "cpuPercent", kind: "cores" },
  { key: "processes", field: "processes", kind: "count" },
  { key: "open_files", field: "openFiles", kind: "count" },
  { key: "file_size", field: "fileBytes", kind: "size" },
  { key: "log_size", field: "logBytes", kind: "size" },
  { key: "log_rate", field: "logBytesPerSecond", kind: "size" },
  { key: "xcom_size", field: "xcomBytes", kind: "size" },
  { key: "artifact_size", field: "artifactBytes", kind: "size" },
  { key: "parse_seconds", field: "parseSeconds", kind: "seconds" },
  { key: "wall_seconds", field: "wallSeconds", kind: "seconds" },
];

export type LimitProblem = {
  readonly key: string;
  readonly message: string;
  readonly hint: string;
};

/**
 * One limit as people write it (`512MiB`, `0.5` cores, `30`), in the unit of its field.
 * `wall_seconds: 0` means none.
 */
export function readLimit(key: string, raw: unknown): Answer<Partial<GuestLimits>, LimitProblem> {
  const name = limitNames.find((known) => known.key === key);
  if (!name)
    return bad({
      key,
      message: `limits.${key} is not a limit`,
      hint: `limits are ${limitNames.map((known) => known.key).join(", ")}`,
    });
  const value = readAmount(name.kind, raw);
  if (value === undefined || (value === 0 && name.field !== "wallSeconds"))
    return bad({
      key,
      message: `limits.${key} cannot be ${shown(raw)}`,
      hint: `write ${examples[name.kind]}`,
    });
  return good({ [name.field]: value });
}

const examples: Record<LimitKind, string> = {
  size: "a number of bytes or a size such as 256MiB",
  count: "a whole number above 0",
  cores: "a number of cores such as 0.5",
  seconds: "a whole number of seconds",
};

function readAmount(kind: LimitKind, raw: unknown): number | undefined {
  if (kind === "size" && typeof raw === "string") return readSize(raw);
  if (typeof raw !== "number" || !Number.isFinite(raw) || raw < 0 || raw > 2 ** 50)
    return undefined;
  if (kind === "cores") return Math.round(raw * 100);
  return Number.isInteger(raw) ? raw : undefined;
}

function readSize(text: string): number | undefined {
  const match = /^(\d{1,15})\s*(B|KB|MB|GB|KiB|MiB|GiB|Ki|Mi|Gi|K|M|G)?$/.exec(text.trim());
  if (!match) return undefined;
  const unit = match[2] ?? "B";
  const base = unit.endsWith("B") && !unit.includes("i") && unit.length === 2 ? 1000 : 1024;
  return Number(match[1]) * base ** " KMG".indexOf(unit === "B" ? " " : (unit[0] ?? " "));
}

/** A wish may only narrow what the tenant has: wider is a problem that names both, and the tenant's own stays. */
export function narrowLimits(
  maxima: GuestLimits,
  wish: Partial<GuestLimits>,
): { readonly limits: GuestLimits; readonly problems: readonly LimitProblem[] } {
  const problems: LimitProblem[] = [];
  const limits: Record<keyof GuestLimits, number> = { ...maxima };
  for (const { key, field, kind } of limitNames) {
    const wanted = wish[field];
    if (wanted === undefined) continue;
    // Wall time 0 is "none", the widest of all.
    const rank = (value: number): number =>
      field === "wallSeconds" && value === 0 ? Number.POSITIVE_INFINITY : value;
    if (rank(wanted) > rank(maxima[field]))
      problems.push({
        key,
        message: `limits.${key}: ${amount(kind, wanted)} is more than this tenant may have (${amount(kind, maxima[field])})`,
        hint: "a repository can only narrow its limits; an admin can raise the tenant's",
      });
    else limits[field] = wanted;
  }
  return { limits, problems };
}

function amount(kind: LimitKind, value: number): string {
  if (kind === "cores") return `${value / 100} cores`;
  if (kind === "seconds") return value === 0 ? "none" : `${value} s`;
  return kind === "size" ? sizeText(value) : String(value);
}

export function sizeText(bytes: number): string {
  const [unit, size] =
    bytes >= gib
      ? ["GiB", gib]
      : bytes >= mib
        ? ["MiB", mib]
        : bytes >= kib
          ? ["KiB", kib]
          : ["B", 1];
  return `${Number((bytes / size).toFixed(1))} ${unit}`;
}

const shown = (raw: unknown): string =>
  raw === undefined ? "nothing" : JSON.stringify(raw).slice(0, 60);
