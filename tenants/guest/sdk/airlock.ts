/** What `import … from "airlock"` gives in a DAG file. */
export type {
  Asset,
  Build,
  Connection,
  Context,
  Dag,
  DagOptions,
  Duration,
  Json,
  Operator,
  Ref,
  SensorOptions,
  TaskOptions,
} from "./author-types.ts";
export { dag } from "./build-dag.ts";
export { bash, empty, http, httpSensor, python, sql } from "./operators.ts";
export { done, fail, skip } from "./outcome.ts";
export { asset, cron, every } from "./schedule.ts";
export { useContext } from "./task-context.ts";
