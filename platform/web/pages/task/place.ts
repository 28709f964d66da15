/** Which task instance. */
export type Place = {
  readonly tenant: string;
  readonly dag: string;
  readonly run: string;
  readonly task: string;
  /** −1: not mapped. */
  readonly map: number;
};
