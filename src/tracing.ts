/** Where the spans of this process go: to a collector by OTLP over HTTP, if one is configured. */
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import type { Config } from './config.ts';

/** Answers how to send what is left and stop. A collector that is away costs spans and no more. */
export function startTracing({
  traceUrl,
  serviceName = 'flash',
}: Pick<Config, 'traceUrl' | 'serviceName'>): () => Promise<void> {
  if (traceUrl === undefined) return async () => {};
  const exporter = new OTLPTraceExporter({ url: `${traceUrl.replace(/\/+$/, '')}/v1/traces` });
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName }),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  provider.register();
  return () => provider.shutdown().catch(() => {});
}
