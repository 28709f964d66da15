/** What a siege counts: probes, what got through, what could not be tried on this machine. */
export type Campaign = {
  readonly seed: number;
  /** One probe was made. `escape` says what got through; undefined: the fence held. */
  probe(name: string, escape?: string): void;
  /** A probe that this machine cannot make, by name, with the reason. */
  skip(name: string, why: string): void;
  /** For people, while it runs. */
  tell(line: string): void;
  readonly probes: number;
  readonly escapes: readonly string[];
  readonly skipped: readonly string[];
};

const escapesKept = 200;

export function openCampaign(
  seed: number,
  tell: (line: string) => void = () => undefined,
): Campaign {
  const escapes: string[] = [];
  const skipped: string[] = [];
  let probes = 0;
  return {
    seed,
    probe(name, escape) {
      probes += 1;
      if (escape === undefined) return;
      const line = `${name}: ${escape}`;
      tell(`ESCAPED ${line}`);
      // One hole can be met thousands of times: the count must stay right, the text need not.
      escapes.push(escapes.length < escapesKept ? line.slice(0, 2_000) : name);
    },
    skip(name, why) {
      tell(`SKIPPED ${name}: ${why}`);
      skipped.push(`${name}: ${why}`);
    },
    tell,
    get probes() {
      return probes;
    },
    get escapes() {
      return escapes;
    },
    get skipped() {
      return skipped;
    },
  };
}
