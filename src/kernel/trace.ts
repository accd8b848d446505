/**
 * Spans of OpenTelemetry. Where no exporter is configured they are calls that do nothing. What they
 * carry are names of the schema, ids that the engine made, and numbers; never what a client wrote.
 */
import { type Attributes, SpanStatusCode, trace } from '@opentelemetry/api';
import { errorCode } from './db.ts';
import { Mistake } from './errors.ts';

const tracer = trace.getTracer('flash');

/** Runs the work within a span of its own, a child of the present one. */
export function traced<T>(
  name: string,
  attributes: Attributes,
  work: () => Promise<T>,
): Promise<T> {
  return tracer.startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await work();
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: kindOf(error) });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** For what is known only at the end. An error that is no exception is one all the same. */
export function noteOnSpan(attributes: Attributes, { isError }: { isError: boolean }): void {
  const span = trace.getActiveSpan();
  span?.setAttributes(attributes);
  if (isError) span?.setStatus({ code: SpanStatusCode.ERROR });
}

/** For a span that began before it was known what it is about. */
export function renameSpan(name: string, attributes: Attributes): void {
  trace.getActiveSpan()?.updateName(name).setAttributes(attributes);
}

/** An error's message may quote a value. */
function kindOf(error: unknown): string {
  if (error instanceof Mistake) return error.code;
  return errorCode(error) ?? (error instanceof Error ? error.name : 'thrown');
}
