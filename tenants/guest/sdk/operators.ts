/** The catalogue of ready-made tasks, the same as in a YAML DAG: `op(bash, "report", { command: "./report.sh" })`. */
import type { Duration, Json, Operator } from "./author-types.ts";

type Operate = <A, O>(type: string, sensor?: boolean) => Operator<A, O>;
const operate: Operate = (type, sensor = false) => ({ type, sensor });

export type BashArgs = {
  readonly command: string;
  readonly env?: Readonly<Record<string, string | number | boolean>>;
  /** JSON on the command's standard input. */
  readonly args?: Readonly<Record<string, Json>>;
};
export type PythonArgs = {
  /** A file, from the folder of the DAG file or the root of the repository. Its `main(**args)` is called. */
  readonly script?: string;
  readonly code?: string;
  readonly args?: Readonly<Record<string, Json>>;
  readonly env?: Readonly<Record<string, string | number | boolean>>;
};
export type HttpArgs = {
  readonly url: string;
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "HEAD";
  readonly conn?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly json?: Json;
  readonly body?: string;
  readonly expect?: readonly number[];
  readonly response?: "auto" | "json" | "text";
  readonly requestTimeout?: Duration;
};
export type HttpSensorArgs = HttpArgs & {
  readonly until?: string;
  readonly every?: Duration;
  readonly timeout?: Duration;
  readonly mode?: "poke" | "reschedule";
  readonly softFail?: boolean;
};
export type SqlArgs = {
  readonly conn: string;
  readonly query?: string;
  readonly file?: string;
  /** Named parameters: `:name` in the statement. */
  readonly with?: Readonly<Record<string, Json>>;
  readonly maxRows?: number;
  /** Writes rows instead of running a statement. */
  readonly into?: string;
  readonly rows?: readonly Readonly<Record<string, Json>>[];
  readonly mode?: "append" | "replace";
};

/** Its output is the last line it printed, or the JSON it wrote to `$AIRLOCK_RESULT`. */
export const bash = operate<BashArgs, string>("bash");
export const python = operate<PythonArgs, Json>("python");
/** Its output is the body: parsed if it is JSON, else text. */
export const http = operate<HttpArgs, Json>("http");
export const httpSensor = operate<HttpSensorArgs, Json>("http.sensor", true);
/** Its output is the rows of the last statement. */
export const sql = operate<SqlArgs, readonly Readonly<Record<string, Json>>[]>("sql");
/** Does nothing: a place to gather edges. No process is started for it. */
export const empty = operate<Readonly<Record<never, never>>, null>("empty");
