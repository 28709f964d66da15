/** How much of a limit is taken, as a bar; its numbers stand beside it in words. */
export function Share({
  taken,
  deferred = 0,
  of,
}: {
  readonly taken: number;
  readonly deferred?: number;
  /** Negative: no limit. */
  readonly of: number;
}) {
  const part = (n: number): string => `${String(of <= 0 ? 0 : Math.min(100, (n / of) * 100))}%`;
  return (
    <span aria-hidden className="flex h-2.5 w-full overflow-hidden rounded bg-sunken">
      <span
        style={{
          width: part(taken),
          background: of > 0 && taken >= of ? "var(--state-failed)" : "var(--state-running)",
        }}
      />
      <span style={{ width: part(deferred), background: "var(--state-deferred)" }} />
    </span>
  );
}
