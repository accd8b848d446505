import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';
import { errorCode } from './db.ts';
import { Mistake } from './errors.ts';

export type { Logger };

/** What a program's own fault says: it names code, not data. */
const HARMLESS = [Mistake, TypeError, ReferenceError, RangeError];

/**
 * What may be logged of an error. A database's message and detail quote whole rows, a parser's what
 * it was given: codes, e-mail addresses, keys. Its kind, its code and where it happened do not.
 */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const harmless = HARMLESS.some((kind) => error instanceof kind);
  const code = errorCode(error) ?? (error as { code?: unknown }).code;
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return {
    type: error.name,
    ...(typeof code === 'string' ? { code } : {}),
    // Node's own argument errors carry a code, and quote the argument.
    ...(harmless && code === undefined ? { message: error.message } : {}),
    stack: frames.map((line) => line.trim()).join('\n'),
  };
}

/** One JSON object a line, on standard output unless told otherwise. */
export function openLog(level: string, to?: DestinationStream): Logger {
  const options: LoggerOptions = {
    level,
    serializers: { err: describeError, error: describeError },
    // Never written on purpose; this is for the day when somebody logs a whole request.
    redact: ['headers.authorization', 'req.headers.authorization', '*.headers.authorization'],
  };
  return to ? pino(options, to) : pino(options);
}
