/**
 * Traces. Without an OTLP endpoint in the environment nothing is loaded and `withSpan` only calls through: an idle
 * platform must not pay for instruments that nobody reads. With one, spans wait in a bounded queue: a collector that
 * hangs costs spans, never a task.
 *
 * One trace is one run. Its ids are in the run's row, so whichever processes run its attempts and whichever ends it
 * write into the same trace, without telling each other.
 */
import {
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";

export type SpanIds = { readonly traceId: string; readonly spanId: string };
type Attributes = Record<string, string | number | boolean>;

let tracer: Tracer | undefined;
/** Set for the moment of one `startSpan`: the ids that its span must have. */
let given: SpanIds | undefined;

export type Tracing = { close(): Promise<void> };

const queueMax = 4096;
const exportTimeoutMs = 5_000;
const closeTimeoutMs = 3_000;

export const isTracing = (): boolean => tracer !== undefined;

/** Starts exporting if an OTLP endpoint is set in the environment (the OTEL_* variables of the specification). */
export async function startTracing(serviceVersion: string): Promise<Tracing | undefined> {
  const { env } = process;
  const endpoint =
    env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] ?? env["OTEL_EXPORTER_OTLP_ENDPOINT"] ?? "";
  if (endpoint === "" || env["OTEL_SDK_DISABLED"] === "true") return undefined;
  if (env["OTEL_TRACES_EXPORTER"] === "none") return undefined;
  if (!/^https?:/.test(endpoint) || !URL.canParse(endpoint))
    throw new Error(
      `The OTLP endpoint '${endpoint}' is not an address. It is one such as http://collector:4318.`,
    );
  const [
    { BatchSpanProcessor, RandomIdGenerator, TracerProvider, ...samplers },
    { OTLPTraceExporter },
    { resourceFromAttributes },
    { AsyncLocalStorageContextManager },
  ] = await Promise.all([
    import("@opentelemetry/sdk-trace"),
    import("@opentelemetry/exporter-trace-otlp-http"),
    import("@opentelemetry/resources"),
    import("./async-context.ts"),
  ]);
  const random = new RandomIdGenerator();
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      "service.name": env["OTEL_SERVICE_NAME"] ?? "airlock",
      "service.version": serviceVersion,
    }),
    // By the trace's id alone, so that all processes keep or drop the same runs whole.
    sampler: readSampler(env["OTEL_TRACES_SAMPLER"], env["OTEL_TRACES_SAMPLER_ARG"], samplers),
    idGenerator: {
      generateTraceId: () => given?.traceId ?? random.generateTraceId(),
      generateSpanId: () => given?.spanId ?? random.generateSpanId(),
    },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({
          timeoutMillis: readNumber(env["OTEL_EXPORTER_OTLP_TIMEOUT"], exportTimeoutMs),
        }),
        maxQueueSize: readNumber(env["OTEL_BSP_MAX_QUEUE_SIZE"], queueMax),
        scheduledDelayMillis: readNumber(env["OTEL_BSP_SCHEDULE_DELAY"], 2_000),
        exportTimeoutMillis: exportTimeoutMs,
      }),
    ],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  trace.setGlobalTracerProvider(provider);
  tracer = trace.getTracer("airlock", serviceVersion);
  return {
    async close() {
      tracer = undefined;
      // What the collector does not take now it never will: a stop waits for nobody.
      await Promise.race([
        provider.shutdown().catch(() => undefined),
        new Promise((done) => setTimeout(done, closeTimeoutMs).unref()),
      ]);
      trace.disable();
      context.disable();
    },
  };
}

type Samplers = Pick<
  typeof import("@opentelemetry/sdk-trace"),
  "AlwaysOffSampler" | "AlwaysOnSampler" | "TraceIdRatioBasedSampler"
>;

function readSampler(name: string | undefined, arg: string | undefined, kinds: Samplers) {
  switch ((name ?? "always_on").replace(/^parentbased_/, "")) {
    case "always_off":
      return new kinds.AlwaysOffSampler();
    case "traceidratio":
      return new kinds.TraceIdRatioBasedSampler(readNumber(arg, 1));
    default:
      return new kinds.AlwaysOnSampler();
  }
}

const readNumber = (text: string | undefined, otherwise: number): number => {
  const value = Number(text);
  return text === undefined || text === "" || !Number.isFinite(value) || value < 0
    ? otherwise
    : value;
};

/** The root span of what a row's `trace` names: a run, or a sync. */
export function rootSpan(traceUuid: string): SpanIds {
  const traceId = traceUuid.replaceAll("-", "");
  return { traceId, spanId: traceId.slice(16) };
}

/** One execution of an attempt: its id and how often it was claimed say which. */
export function attemptSpan(traceUuid: string, attempt: string, fence: number): SpanIds {
  const hex = attempt.replaceAll("-", "");
  const low = (Number.parseInt(hex.slice(24), 16) ^ fence) >>> 0;
  return {
    traceId: traceUuid.replaceAll("-", ""),
    spanId: hex.slice(16, 24) + low.toString(16).padStart(8, "0"),
  };
}

export type SpanPlace = {
  /** The ids that the span must have. */
  readonly ids?: SpanIds | undefined;
  /** A span of another process, or one that is not written yet. Without it: the active one. */
  readonly parent?: SpanIds | undefined;
  readonly links?: readonly (SpanIds & { readonly why: string })[];
  readonly kind?: "internal" | "server" | undefined;
};

/** The one wrapper at the seams between rooms. The span fails with the error that passes through it. */
export async function withSpan<T>(
  name: string,
  attributes: Attributes,
  work: (span: Span | undefined) => Promise<T>,
  place: SpanPlace = {},
): Promise<T> {
  if (tracer === undefined) return work(undefined);
  const { span, within } = begin(tracer, name, attributes, place);
  return context.with(within, async () => {
    try {
      return await work(span);
    } catch (error) {
      span.recordException(error instanceof Error ? error : String(error));
      span.setStatus({ code: SpanStatusCode.ERROR });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** A span of what is over already. */
export function emitSpan(
  name: string,
  attributes: Attributes,
  place: SpanPlace & { readonly start: Date; readonly end: Date; readonly failed: boolean },
): void {
  if (tracer === undefined) return;
  const { span } = begin(tracer, name, attributes, place, place.start);
  if (place.failed) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end(place.end);
}

function begin(
  by: Tracer,
  name: string,
  attributes: Attributes,
  { ids, parent, links = [], kind }: SpanPlace,
  startTime?: Date,
) {
  const around =
    parent !== undefined
      ? trace.setSpanContext(ROOT_CONTEXT, {
          ...parent,
          traceFlags: TraceFlags.SAMPLED,
          isRemote: true,
        })
      : ids !== undefined
        ? ROOT_CONTEXT
        : context.active();
  given = ids;
  try {
    const span = by.startSpan(
      name,
      {
        attributes,
        kind: kind === "server" ? SpanKind.SERVER : SpanKind.INTERNAL,
        links: links.map(
          ({ why, ...linked }): Link => ({
            context: { ...linked, traceFlags: TraceFlags.SAMPLED },
            attributes: { "airlock.link": why },
          }),
        ),
        ...(startTime === undefined ? {} : { startTime }),
      },
      around,
    );
    return { span, within: trace.setSpan(around, span) };
  } finally {
    given = undefined;
  }
}

/** W3C `traceparent` of the active span, to hand on into a task. */
export function activeTraceparent(): string | undefined {
  const active = tracer === undefined ? undefined : trace.getActiveSpan()?.spanContext();
  return active === undefined
    ? undefined
    : `00-${active.traceId}-${active.spanId}-0${active.traceFlags & 1}`;
}

export function activeTraceIds(): { trace_id?: string; span_id?: string } {
  const active = tracer === undefined ? undefined : trace.getActiveSpan()?.spanContext();
  return active === undefined ? {} : { trace_id: active.traceId, span_id: active.spanId };
}

/** The active span, for a histogram to point at; undefined where it is not kept. */
export function activeExemplar(): { trace_id: string; span_id: string } | undefined {
  const active = tracer === undefined ? undefined : trace.getActiveSpan()?.spanContext();
  return active === undefined || (active.traceFlags & TraceFlags.SAMPLED) === 0
    ? undefined
    : { trace_id: active.traceId, span_id: active.spanId };
}
