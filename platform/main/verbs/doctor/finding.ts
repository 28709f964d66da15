export type Finding = {
  readonly name: string;
  /** `warn`: it works, with less, or not for ever. */
  readonly state: "ok" | "warn" | "fail";
  /** One sentence. */
  readonly found: string;
  /** The way out. */
  readonly hint?: string;
};
