/** How often somebody may try: per account and address, and per address. Forgets what it need not know. */
export type SignInLimit = {
  /** Seconds to wait, or undefined: go on. Counts this try. */
  tooSoon(name: string, ip: string): number | undefined;
  /** The right password: this account's tries are forgotten, so that a forgetful person is not locked out. */
  succeeded(name: string, ip: string): void;
};

const windowMs = 60_000;
const perAccountMax = 10;
const perAddressMax = 60;
const keysMax = 20_000;

export function openSignInLimit(nowMs: () => number = () => performance.now()): SignInLimit {
  const tries = new Map<string, { count: number; sinceMs: number }>();

  const count = (key: string, max: number): number | undefined => {
    const now = nowMs();
    const entry = tries.get(key);
    if (!entry || now - entry.sinceMs >= windowMs) {
      if (tries.size >= keysMax) prune(now);
      tries.set(key, { count: 1, sinceMs: now });
      return undefined;
    }
    entry.count++;
    return entry.count > max ? Math.ceil((entry.sinceMs + windowMs - now) / 1_000) : undefined;
  };

  return {
    tooSoon: (name, ip) =>
      count(`ip ${ip}`, perAddressMax) ?? count(account(name, ip), perAccountMax),
    succeeded: (name, ip) => void tries.delete(account(name, ip)),
  };

  function prune(now: number): void {
    for (const [key, entry] of tries) if (now - entry.sinceMs >= windowMs) tries.delete(key);
    // All of them fresh: a flood from many addresses. The oldest go, in order of arrival.
    for (const key of tries.keys()) {
      if (tries.size < keysMax) return;
      tries.delete(key);
    }
  }
}

const account = (name: string, ip: string): string => `account ${name.slice(0, 250)} ${ip}`;
