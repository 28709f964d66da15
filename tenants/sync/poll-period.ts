/** How long until a repository is asked again. Webhooks do the work; this is the net under them. */
export type PollFacts = {
  /** Since its head last moved; undefined: never. */
  readonly quietMs: number | undefined;
  /** Since a genuine webhook arrived; undefined: never. */
  readonly webhookMs: number | undefined;
  /** Syncs in a row that failed to reach it. */
  readonly failures: number;
  /** 0 ≤ … < 1, so that thousands of repositories do not ask in step. */
  readonly dice: number;
};

const minute = 60;

/** Seconds: 5 for ten minutes after a change, then up to 5 minutes, 15 with healthy webhooks; failures double it up to an hour. */
export function pollSeconds({ quietMs, webhookMs, failures, dice }: PollFacts): number {
  const jitter = 0.85 + 0.3 * dice;
  if (failures > 0) return Math.min(10 * 2 ** Math.min(failures - 1, 10), 60 * minute) * jitter;
  const quietSeconds = (quietMs ?? Number.POSITIVE_INFINITY) / 1000;
  if (quietSeconds < 10 * minute) return 5 * jitter;
  const calm = Math.min(Math.max(quietSeconds / 20, minute), 5 * minute);
  const isHealthy = webhookMs !== undefined && webhookMs < 24 * 60 * minute * 1000;
  return (isHealthy ? 15 * minute : calm) * jitter;
}
