/**
 * The shape of a YAML DAG: the one source of what the reader accepts and of the JSON Schema that teaches
 * authors' editors. Titles and descriptions are written for them.
 */
import * as z from "zod";

const durationPattern = /^\d{1,9}(?:\.\d{1,3})?(?:ms|s|m|h|d)$/;
const idPattern = /^(?!\.{1,2}$)[\w-]{1,250}$/;
const dagIdPattern = /^(?!\.{1,2}$)[\w.-]{1,250}$/;

const duration = z
  .string()
  .regex(durationPattern, 'a duration is a number and ms, s, m, h or d, for example "30s" or "1h"')
  .meta({ title: "Duration", examples: ["30s", "5m", "1h"] });

const reference = z
  .string()
  .regex(/^\s*\$\{\{[\s\S]*\}\}\s*$/, "must be a reference, for example ${{ extract.rows }}")
  .meta({
    title: "Reference",
    description: "The output of a task, or a field of it. It makes an edge.",
    examples: ["${{ extract.rows }}"],
  });

const text = (description: string, ...examples: string[]): z.ZodString =>
  z.string().meta({ description, ...(examples.length === 0 ? {} : { examples }) });
const values = (description: string): z.ZodRecord<z.ZodString, z.ZodUnknown> =>
  z.record(z.string(), z.unknown()).meta({ description });
const scalars = (
  description: string,
): z.ZodRecord<z.ZodString, z.ZodUnion<readonly [z.ZodString, z.ZodNumber, z.ZodBoolean]>> =>
  z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).meta({ description });
const count = (min: number, description: string): z.ZodNumber =>
  z.number().int().min(min).max(1_000_000).meta({ description });
const ids = (description: string): z.ZodUnion<readonly [z.ZodString, z.ZodArray<z.ZodString>]> =>
  z.union([z.string(), z.array(z.string()).max(10_000)]).meta({ description });

const triggerRules = [
  "all_success",
  "all_failed",
  "all_done",
  "all_done_min_one_success",
  "one_success",
  "one_failed",
  "one_done",
  "none_failed",
  "none_failed_min_one_success",
  "none_skipped",
  "all_skipped",
  "always",
] as const;

const options = {
  displayName: text("The name people see instead of the id.").optional(),
  doc: text("Markdown, shown with the task.").optional(),
  owner: text("Who looks after it.").optional(),
  retries: count(0, "How many times a failed task is tried again. 0 unless said.").optional(),
  retryDelay: duration.describe("Pause before the next try. 5m unless said.").optional(),
  maxRetryDelay: duration
    .describe("The longest pause that exponential backoff may reach.")
    .optional(),
  backoff: z
    .enum(["fixed", "exponential"])
    .describe("`exponential` doubles the delay with every try.")
    .optional(),
  timeout: duration.describe("The task fails when it takes longer.").optional(),
  pool: text("The pool whose slots it takes. default_pool unless said.").optional(),
  poolSlots: count(1, "How many slots of the pool it takes.").optional(),
  queue: text("Which workers may run it. default unless said.").optional(),
  priority: z.number().int().describe("Higher goes first.").optional(),
  triggerRule: z
    .enum(triggerRules)
    .describe("What must have become of the tasks before it. all_success unless said.")
    .optional(),
  maxActive: count(1, "How many instances may run at once over all runs.").optional(),
  dependsOnPast: z.boolean().describe("Waits for its own success in the run before.").optional(),
  waitForDownstream: z
    .boolean()
    .describe("Waits also for what came after it in the run before.")
    .optional(),
};

const every = {
  ...options,
  needs: ids("Tasks or groups that must be done before it.").optional(),
  outlets: z.array(z.string()).max(100).describe("URIs of the data it writes.").optional(),
  with: values(
    "Values by name, also outputs of tasks: templates of this task see them under these names.",
  ).optional(),
};
const mappable = {
  ...every,
  map: z
    .strictObject({
      over: z
        .union([reference, z.array(z.unknown()).max(10_000)])
        .describe("A list: written here, or the output of a task."),
      concurrency: count(1, "How many instances may run at once in one run.").optional(),
    })
    .describe("One instance per element; ${{ item }} and {{ item }} are the element.")
    .optional(),
};
const looking = {
  every: duration.describe("Pause between two looks. 60s unless said.").optional(),
  timeout: duration.describe("Gives up after this long. 7d unless said.").optional(),
  mode: z
    .enum(["poke", "reschedule"])
    .describe("`reschedule` frees the worker between looks, `poke` keeps it.")
    .optional(),
  softFail: z.boolean().describe("Skipped instead of failed when the time is over.").optional(),
};
const request = {
  url: text(
    "Address; with `conn` it may be a path on the connection's host.",
    "https://example.com/rates?on={{ ds }}",
    "/v1/orders",
  ),
  method: z.enum(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]).optional(),
  conn: text("Connection that gives host, login and password.").optional(),
  headers: scalars("Headers by name.").optional(),
  query: scalars("Query parameters by name.").optional(),
  json: z.unknown().describe("Body, sent as JSON; may hold references.").optional(),
  body: text("Body, sent as it is.").optional(),
  expect: z
    .union([z.number().int(), z.array(z.number().int()).max(100)])
    .describe("Status codes that are right. Any 2xx unless said.")
    .optional(),
  response: z
    .enum(["auto", "json", "text"])
    .describe("What the output is. Parsed if the answer says it is JSON unless said.")
    .optional(),
  requestTimeout: duration.describe("For one request. 30s unless said.").optional(),
};
const program = {
  args: values("Handed to the code; may hold references.").optional(),
};
const scriptOrCode = {
  script: text("File beside this one, or from the repository's root.", "clean.py").optional(),
  code: text("The code itself, instead of a script. Not a template: use args.").optional(),
};

export const taskShapes = {
  bash: z
    .strictObject({
      type: z.enum(["bash", "shell"]),
      ...mappable,
      command: text(
        "Run by bash in this file's folder. Give outputs of tasks through env.",
        "./report.sh --day {{ ds }}",
      ),
      env: z.record(z.string(), z.unknown()).describe("Environment variables.").optional(),
      ...program,
    })
    .meta({
      title: "bash",
      description:
        "A shell command. Its output is the JSON it wrote to $AIRLOCK_RESULT, else the last line it printed.",
    }),
  python: z
    .strictObject({
      type: z.literal("python"),
      ...mappable,
      ...scriptOrCode,
      env: z.record(z.string(), z.unknown()).describe("Environment variables.").optional(),
      ...program,
    })
    .meta({
      title: "python",
      description: "Calls main(**args) of a script or of code; what it returns is the output.",
    }),
  node: z.strictObject({ type: z.literal("node"), ...mappable, ...scriptOrCode, ...program }).meta({
    title: "node",
    description:
      "Calls the default export of a .ts, .mjs or .js file with (args, context), or runs code as the body of such a function.",
  }),
  http: z
    .strictObject({ type: z.literal("http"), ...mappable, ...request })
    .meta({ title: "http", description: "A request; its output is the body of the answer." }),
  "http.sensor": z
    .strictObject({
      type: z.literal("http.sensor"),
      ...every,
      ...request,
      ...looking,
      until: text(
        "Expression over status, body and headers that must be true.",
        "body.state == 'ready'",
      ).optional(),
    })
    .meta({
      title: "http.sensor",
      description: "Asks again and again until the answer is right.",
    }),
  sql: z
    .strictObject({
      type: z.literal("sql"),
      ...mappable,
      conn: text("Connection to a Postgres.", "warehouse"),
      query: text(
        "Statements; values come in as :name from `with`.",
        "select * from orders where day = :day",
      ).optional(),
      file: text("File with statements, instead of query.", "load.sql").optional(),
      maxRows: count(1, "More rows than this fail the task. 1000 unless said.").optional(),
      rows: z
        .union([reference, z.array(z.unknown()).max(10_000)])
        .describe("Rows to write, instead of statements.")
        .optional(),
      into: text("Table that the rows are written to.", "reports.orders").optional(),
      mode: z
        .enum(["append", "replace"])
        .describe("`replace` empties the table first, in the same transaction.")
        .optional(),
    })
    .meta({
      title: "sql",
      description: "Statements on a Postgres, in one transaction; the output is the last rows.",
    }),
  branch: z
    .strictObject({
      type: z.literal("branch"),
      ...every,
      cases: z
        .array(
          z.strictObject({
            if: text("Expression over params, with, ds …", "params.region == 'eu'"),
            to: ids("Tasks or groups to go on with."),
          }),
        )
        .min(1)
        .max(100)
        .describe("The first that is true decides."),
      else: ids("Where to go on if none is true. All are skipped unless said.").optional(),
    })
    .meta({ title: "branch", description: "Goes on with one case and skips the others." }),
  short_circuit: z
    .strictObject({
      type: z.literal("short_circuit"),
      ...every,
      if: text("Expression over params, with, ds …", "count > 0"),
      respectTriggerRules: z
        .boolean()
        .describe("Skip only the tasks directly after it.")
        .optional(),
    })
    .meta({ title: "short_circuit", description: "Skips everything after it unless it is true." }),
  empty: z
    .strictObject({ type: z.literal("empty"), ...every })
    .meta({ title: "empty", description: "Does nothing: a place to gather edges." }),
} as const;

export type TaskType = keyof typeof taskShapes;
type LeafTask = z.infer<(typeof taskShapes)[TaskType]>;
export type GroupDef = {
  readonly type: "group";
  readonly needs?: string | string[] | undefined;
  readonly tooltip?: string | undefined;
  readonly tasks: Readonly<Record<string, TaskDef>>;
};
export type TaskDef = LeafTask | GroupDef;

const id = z.string().regex(idPattern, "must be letters, digits, dash and underscore");

export const groupShape: z.ZodType<GroupDef> = z
  .strictObject({
    type: z.literal("group"),
    needs: ids("Tasks or groups that must be done before any of its tasks.").optional(),
    tooltip: text("Shown with the group.").optional(),
    get tasks(): z.ZodRecord<typeof id, z.ZodType<TaskDef>> {
      return tasksShape;
    },
  })
  .meta({
    title: "group",
    description: "Tasks that belong together; their ids begin with the group's.",
  });

// zod cannot infer a union that contains itself; GroupDef above says what it is.
const taskShape = z.discriminatedUnion("type", [
  ...Object.values(taskShapes),
  groupShape,
] as unknown as [typeof taskShapes.bash]) as unknown as z.ZodType<TaskDef>;
const tasksShape = z.record(id, taskShape).meta({ description: "Tasks by id." });

const schedule = z
  .union([
    z.string(),
    z.strictObject({
      cron: text("Minute, hour, day, month, weekday.", "0 6 * * *"),
      timezone: text("IANA name. UTC unless said.", "Europe/Zurich").optional(),
      catchup: z.boolean().describe("Make up for runs missed since startDate.").optional(),
      intervals: z
        .boolean()
        .describe("A run covers the time since the one before it, as in Airflow 2.")
        .optional(),
    }),
    z.strictObject({
      every: duration.describe("Pause between the starts of two runs."),
      catchup: z.boolean().optional(),
    }),
  ])
  .meta({
    description: "When it runs. Without: when someone triggers it.",
    examples: ["@daily", "*/15 * * * *"],
  });

const param = z
  .looseObject({
    type: z
      .union([z.string(), z.array(z.string())])
      .describe("JSON Schema type.")
      .optional(),
    default: z.unknown().optional(),
    description: z.string().optional(),
  })
  .meta({ description: "JSON Schema of one param; a form is made from it." });

export const dagShape = z
  .strictObject({
    id: z
      .string()
      .regex(
        dagIdPattern,
        "must be letters, digits, dash, dot and underscore, at most 250 characters",
      )
      .meta({ description: "Unique within the tenant.", examples: ["orders_etl"] }),
    displayName: options.displayName,
    description: text("One sentence.").optional(),
    doc: text("Markdown, shown with the DAG.").optional(),
    tags: z.array(z.string().max(100)).max(100).optional(),
    owner: options.owner,
    schedule: schedule.optional(),
    startDate: text("ISO 8601.", "2026-01-01").optional(),
    endDate: text("ISO 8601.").optional(),
    catchup: z.boolean().describe("Make up for runs missed since startDate.").optional(),
    maxActiveRuns: count(1, "Runs at once. 16 unless said.").optional(),
    maxActiveTasks: count(1, "Tasks at once, over all its runs. 16 unless said.").optional(),
    pauseAfterFailedRuns: count(
      0,
      "Pauses the DAG after this many failed runs in a row.",
    ).optional(),
    timeout: duration.describe("A run fails when it takes longer.").optional(),
    failFast: z.boolean().describe("The first failed task ends the run.").optional(),
    paused: z
      .boolean()
      .describe("Whether it is paused when it appears for the first time.")
      .optional(),
    params: z.record(z.string(), param).describe("Values a run can be given.").optional(),
    defaults: z
      .strictObject(options)
      .describe("Options for every task that does not say otherwise.")
      .optional(),
    tasks: tasksShape,
  })
  .meta({
    title: "Airlock DAG",
    description: "A workflow in YAML: *.dag.yaml",
  });
export type DagDef = z.infer<typeof dagShape>;

/** Keys an author may have meant, where a key is unknown. */
export function keysAt(path: readonly PropertyKey[], type: unknown): readonly string[] {
  if (path.length === 0) return Object.keys(dagShape.shape);
  if (path[0] === "defaults") return Object.keys(options);
  if (path[0] === "schedule") return ["cron", "timezone", "catchup", "intervals", "every"];
  if (path.at(-1) === "map") return ["over", "concurrency"];
  if (path.includes("cases")) return ["if", "to"];
  if (type === "group") return ["type", "needs", "tooltip", "tasks"];
  const name = type === "shell" ? "bash" : type;
  return typeof name === "string" && Object.hasOwn(taskShapes, name)
    ? Object.keys(taskShapes[name as TaskType].shape)
    : [];
}
export const typeNames: readonly string[] = ["shell", "group", ...Object.keys(taskShapes)];
