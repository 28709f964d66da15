/** What an author's editor shows: the types of a DAG file, from the input of a task to the XCom it leaves. */
import type { DagSpec } from "../../../platform/model/dag-spec.ts";
import type { TriggerRule } from "../../../platform/model/states.ts";

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

/** `"500ms"`, `"30s"`, `"5m"`, `"1h"`, `"2d"`. */
export type Duration = `${number}${"ms" | "s" | "m" | "h" | "d"}`;

declare const output: unique symbol;

/** A handle to what a task will return: a typed XCom. Nothing is known of the value while the graph is built. */
export interface Ref<T> {
  readonly [output]?: () => T;
  readonly taskId: string;
  readonly path: readonly string[];
  /** A field of the output. */
  get<K extends keyof T & string>(key: K): Ref<T[K]>;
}

/** A value, or the same value with outputs of tasks anywhere inside. */
export type Input<T> =
  | Ref<T>
  | (T extends readonly (infer U)[]
      ? readonly Input<U>[]
      : T extends object
        ? { readonly [K in keyof T]: Input<T[K]> }
        : T);

/** What arrives in `run` for what was written under `in`. */
export type Unref<I> =
  I extends Ref<infer T>
    ? T
    : I extends readonly []
      ? []
      : I extends readonly [infer A, ...infer R]
        ? [Unref<A>, ...Unref<R>]
        : I extends readonly (infer U)[]
          ? Unref<U>[]
          : I extends (...args: never[]) => unknown
            ? never
            : I extends object
              ? { -readonly [K in keyof I]: Unref<I[K]> }
              : I;

export interface TaskNode<T> extends Ref<T> {
  /** Runs only after all of these. */
  after(...upstream: readonly AnyNode[]): this;
  /** All of these run only after it. */
  before(...downstream: readonly AnyNode[]): this;
}
export interface GroupNode<T> {
  readonly groupId: string;
  /** What the function of the group returned. */
  readonly out: T;
  after(...upstream: readonly AnyNode[]): this;
  before(...downstream: readonly AnyNode[]): this;
}
// oxlint-disable-next-line typescript/no-explicit-any -- a node of whatever output
export type AnyNode = TaskNode<any> | GroupNode<any>;

export type Log = { readonly [level in LogLevel]: (message: string, fields?: object) => void };
export type LogLevel = "debug" | "info" | "warning" | "error";

export type Connection = {
  readonly id: string;
  readonly type: string;
  readonly host?: string;
  readonly schema?: string;
  readonly login?: string;
  readonly password?: string;
  readonly port?: number;
  /** Parsed JSON; an empty object if there is none. */
  readonly extra: { readonly [key: string]: Json };
};

/** The last argument of every `run`; nested functions get it from `useContext()`. */
export type Context<P = { readonly [name: string]: Json }> = {
  readonly params: P;
  /** Of a run without one (triggered by an asset): the moment the run was due. */
  readonly logicalDate: Date;
  readonly dataInterval: { readonly start: Date; readonly end: Date };
  readonly dagId: string;
  readonly taskId: string;
  /** −1 for a task that is not mapped. */
  readonly mapIndex: number;
  readonly run: {
    readonly id: string;
    readonly type: string;
    readonly conf: Json;
    readonly startDate: Date;
    readonly triggeredBy?: string;
  };
  /** 1 for the first try. */
  readonly attempt: number;
  readonly log: Log;
  /** Aborts when the task is stopped or its timeout has passed: hand it to fetch, timers, child processes. */
  readonly signal: AbortSignal;
  /** Throws when the tenant has no such connection. */
  readonly conn: (id: string) => Promise<Connection>;
  readonly variable: (key: string) => Promise<string | undefined>;
  /** Files written into this folder are kept as artifacts of the attempt. */
  readonly artifacts: string;
  readonly xcom: {
    /** The value another task of this run left; of a mapped task without `mapIndex`, all of them. */
    readonly pull: (
      taskId: string,
      options?: { readonly key?: string; readonly mapIndex?: number },
    ) => Promise<Json | undefined>;
    readonly push: (key: string, value: Json) => Promise<void>;
  };
};

export type Asset = { readonly uri: string; readonly name: string };

export type TaskOptions = {
  readonly displayName?: string;
  /** Markdown, shown with the task. */
  readonly doc?: string;
  readonly owner?: string;
  readonly retries?: number;
  /** 5m unless said. */
  readonly retryDelay?: Duration;
  readonly maxRetryDelay?: Duration;
  /** `exponential` doubles the delay with every try. */
  readonly backoff?: "fixed" | "exponential";
  readonly timeout?: Duration;
  readonly pool?: string;
  readonly poolSlots?: number;
  readonly queue?: string;
  readonly priority?: number;
  readonly triggerRule?: TriggerRule;
  /** How many instances of it may run at once, over all runs of the DAG. */
  readonly maxActive?: number;
  readonly dependsOnPast?: boolean;
  readonly waitForDownstream?: boolean;
  readonly outlets?: readonly Asset[];
};

export type SensorOptions = Omit<TaskOptions, "timeout"> & {
  /** Pause between two looks, 60s unless said. */
  readonly every?: Duration;
  /** Gives up after this long, 7d unless said; no retry helps then. */
  readonly timeout?: Duration;
  /** `reschedule` frees the worker between looks; `poke` keeps it. Without a word: `reschedule` from 60s on. */
  readonly mode?: "poke" | "reschedule";
  /** Skipped instead of failed when the time is over. */
  readonly softFail?: boolean;
};

export type Operator<A, O> = {
  readonly type: string;
  readonly sensor: boolean;
  /** Never there at run time: they carry the types. */
  readonly args?: A;
  readonly out?: O;
};

export type Build<P> = {
  readonly task: {
    <const I, O>(
      id: string,
      options: TaskOptions & {
        readonly in: I;
        readonly run: (input: Unref<I>, context: Context<P>) => O | Promise<O>;
      },
    ): TaskNode<Awaited<O>>;
    <O>(
      id: string,
      options: TaskOptions & { readonly run: (context: Context<P>) => O | Promise<O> },
    ): TaskNode<Awaited<O>>;
  };

  /** One instance per element; its output is the list of all their outputs. */
  readonly map: {
    <E, const I, O>(
      id: string,
      over: Ref<readonly E[]> | Ref<E[]> | readonly E[],
      options: TaskOptions & {
        readonly concurrency?: number;
        readonly in: I;
        readonly run: (item: E, input: Unref<I>, context: Context<P>) => O | Promise<O>;
      },
    ): TaskNode<Awaited<O>[]>;
    <E, O>(
      id: string,
      over: Ref<readonly E[]> | Ref<E[]> | readonly E[],
      options: TaskOptions & {
        readonly concurrency?: number;
        readonly run: (item: E, context: Context<P>) => O | Promise<O>;
      },
    ): TaskNode<Awaited<O>[]>;
  };

  /** Goes on with one or some of `to` (tasks or groups, by id) and skips the others. */
  readonly branch: {
    <const C extends readonly string[], const I>(
      id: string,
      options: TaskOptions & {
        readonly to: C;
        readonly in: I;
        readonly run: (
          input: Unref<I>,
          context: Context<P>,
        ) => Choice<C[number]> | Promise<Choice<C[number]>>;
      },
    ): TaskNode<C[number]>;
    <const C extends readonly string[]>(
      id: string,
      options: TaskOptions & {
        readonly to: C;
        readonly run: (context: Context<P>) => Choice<C[number]> | Promise<Choice<C[number]>>;
      },
    ): TaskNode<C[number]>;
  };

  /** When it answers false, everything after it is skipped. */
  readonly shortCircuit: {
    <const I>(
      id: string,
      options: ShortCircuitOptions & {
        readonly in: I;
        readonly run: (input: Unref<I>, context: Context<P>) => boolean | Promise<boolean>;
      },
    ): TaskNode<boolean>;
    (
      id: string,
      options: ShortCircuitOptions & {
        readonly run: (context: Context<P>) => boolean | Promise<boolean>;
      },
    ): TaskNode<boolean>;
  };

  /** Looks again and again until it answers true, or `done(value)`. */
  readonly sensor: <T = void>(
    id: string,
    options: SensorOptions & {
      readonly poke: (context: Context<P>) => boolean | Done<T> | Promise<boolean | Done<T>>;
    },
  ) => TaskNode<T>;

  readonly group: <T>(
    id: string,
    build: (inside: Build<P>) => T,
    options?: { readonly tooltip?: string; readonly prefixIds?: boolean },
  ) => GroupNode<T>;

  readonly op: <A extends object, O>(
    operator: Operator<A, O>,
    id: string,
    args: { readonly [K in keyof A]: Input<A[K]> } & TaskOptions,
  ) => TaskNode<O>;
};

export type Choice<C> = C | readonly C[];
export type ShortCircuitOptions = TaskOptions & {
  /** Skip only the tasks directly after it, and let their followers' trigger rules decide. */
  readonly respectTriggerRules?: boolean;
};
export type Done<T> = { readonly done: true; readonly value: T };

/** A zod object (4.2 or newer), or any other schema with the Standard JSON Schema interface. */
export type StandardParams = {
  readonly "~standard": {
    readonly vendor: string;
    readonly types?: { readonly output: unknown } | undefined;
    readonly validate: (value: unknown) => unknown;
  };
};
/** JSON Schema of one param, as in a YAML DAG. */
export type ParamSchema = {
  readonly type?: string | readonly string[];
  readonly enum?: readonly Json[];
  readonly default?: Json;
  readonly title?: string;
  readonly description?: string;
  readonly [keyword: string]: unknown;
};
export type Params = StandardParams | { readonly [name: string]: ParamSchema };

export type ParamsOf<S> = S extends {
  readonly "~standard": { readonly types?: infer T };
}
  ? NonNullable<T> extends { readonly output: infer O }
    ? O
    : never
  : { readonly [K in keyof S]: ParamOf<S[K]> };
type ParamOf<S> = S extends { readonly enum: readonly (infer E)[] }
  ? E
  : S extends { readonly type: "string" }
    ? string
    : S extends { readonly type: "integer" | "number" }
      ? number
      : S extends { readonly type: "boolean" }
        ? boolean
        : S extends { readonly type: "array"; readonly items: infer I }
          ? readonly ParamOf<I>[]
          : S extends { readonly type: "object"; readonly properties: infer O }
            ? { readonly [K in keyof O]: ParamOf<O[K]> }
            : Json;

export type Preset =
  | "@once"
  | "@continuous"
  | "@hourly"
  | "@daily"
  | "@weekly"
  | "@monthly"
  | "@quarterly"
  | "@yearly";
export type Schedule =
  | {
      readonly kind: "cron";
      readonly expression: string;
      readonly tz?: string;
      readonly catchup?: boolean;
      readonly intervals: boolean;
    }
  | { readonly kind: "every"; readonly every: Duration; readonly catchup?: boolean };

export type DagOptions<P extends Params> = {
  /** Unique within the tenant. */
  readonly id: string;
  readonly displayName?: string;
  readonly description?: string;
  /** Markdown, shown with the DAG. */
  readonly doc?: string;
  readonly tags?: readonly string[];
  readonly owner?: string;
  /** None: it runs when someone triggers it. */
  readonly schedule?: Schedule | Preset;
  /** ISO 8601 with offset, or a date. */
  readonly startDate?: string;
  readonly endDate?: string;
  /** Make up for runs that were missed since `startDate`. */
  readonly catchup?: boolean;
  readonly maxActiveRuns?: number;
  readonly maxActiveTasks?: number;
  readonly pauseAfterFailedRuns?: number;
  readonly timeout?: Duration;
  readonly failFast?: boolean;
  readonly paused?: boolean;
  readonly params?: P;
  /** Options for every task that does not say otherwise. */
  readonly defaults?: TaskOptions;
  readonly build: (build: Build<ParamsOf<P>>) => void;
};

/** A DAG is data once it is built: no code of its author runs to schedule it. */
export type Dag = { readonly id: string; readonly spec: DagSpec };
