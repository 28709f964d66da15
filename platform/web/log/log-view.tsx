/** The log of one try, whatever its size. What is looked for and where one is belongs to the address of the page around it. */
export type LogPlace = {
  /** First line in sight, from 1. */
  readonly line?: number;
  readonly find?: string;
  readonly regexp?: boolean;
  readonly level?: "debug" | "info" | "warning" | "error" | "critical";
};

export function LogView(_: {
  readonly tenant: string;
  readonly dag: string;
  readonly run: string;
  readonly task: string;
  /** −1: not mapped. */
  readonly mapIndex: number;
  readonly tryNumber: number;
  readonly place: LogPlace;
  readonly onPlace: (place: LogPlace) => void;
}) {
  return null;
}
