/**
 * Traces. Without OTEL_EXPORTER_OTLP_ENDPOINT nothing is loaded and `withSpan` only calls through: an
 * idle platform must not pay for instruments that nobody reads.
 */
import { context, type Span, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";

let tracer: Tracer | undefined;

export type Tracing = { close(): Promise<void> };

/** Starts exporting if an OTLP endpoint is set in the environment (the OTEL_* variables of the specification). */
export async function startTracing(serviceVersion: string): Promise<Tracing | undefined> {
  const endpoint =
    process.env["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] ?? process.env["OTEL_EXPORTER_OTLP_ENDPOINT"];
  if (endpoint === undefined || process.env["OTEL_SDK_DISABLED"] === "true") return undefined;
  const [
    { BatchSpanProcessor, TracerProvider },
    { OTLPTraceExporter },
    { resourceFromAttributes },
    { AsyncLocalStorageContextManager },
  ] = await Promise.all([
    import("@opentelemetry/sdk-trace"),
    import("@opentelemetry/exporter-trace-otlp-http"),
    import("@opentelemetry/resources"),
    import("./async-context.ts"),
  ]);
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      "service.name": process.env["OTEL_SERVICE_NAME"] ?? "airlock",
      "service.version": serviceVersion,
    }),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  trace.setGlobalTracerProvider(provider);
  tracer = trace.getTracer("airlock", serviceVersion);
  return {
    async close() {
      await provider.shutdown();
      tracer = undefined;
    },
  };
}

/** The one wrapper at the seams between rooms. The span fails with the error that passes through it. */
export async function withSpan<T>(
  name: string,
  attributes: Record<string, string | number | boolean>,
  work: (span: Span | undefined) => Promise<T>,
): Promise<T> {
  if (tracer === undefined) return work(undefined);
  return tracer.startActiveSpan(name, { attributes }, async (span) => {
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
