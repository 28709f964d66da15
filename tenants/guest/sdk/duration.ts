const unitSeconds = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 } as const;
const pattern = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/;

export const durationRule =
  'a duration is a number and ms, s, m, h or d, for example "30s" or "1h"';

/** Seconds, or undefined if it is no duration. */
export function durationSeconds(text: string): number | undefined {
  const [, number, unit] = pattern.exec(text) ?? [];
  if (number === undefined || unit === undefined) return undefined;
  return Number(number) * unitSeconds[unit as keyof typeof unitSeconds];
}
