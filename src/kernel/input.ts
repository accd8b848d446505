import { z } from 'zod';
import { badInput } from './errors.ts';

// Control characters (NUL among them, which PostgreSQL cannot store) and halves of surrogate pairs.
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

/** A text of 1 to `max` characters after trimming, without control characters. */
export const text = (max: number) =>
  z
    .string()
    .trim()
    .refine((value) => value.length >= 1 && value.length <= max && !UNPRINTABLE.test(value), {
      error: `1 to ${max} printable characters`,
    });

/** A whole number in a closed range. */
export const whole = (min: number, max: number = Number.MAX_SAFE_INTEGER) => {
  const error = max === Number.MAX_SAFE_INTEGER ? `${min} or more` : `${min} to ${max}`;
  return z.number().refine((value) => Number.isSafeInteger(value) && value >= min && value <= max, {
    error: `a whole number, ${error}`,
  });
};

/**
 * Throws BAD_USER_INPUT for the first thing that is wrong; each schema's message says what was
 * expected.
 */
export function parse<T>(schema: z.ZodType<T>, value: unknown, path: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0] as z.core.$ZodIssue;
  const field = [path, ...issue.path.map(String)].filter((part) => part !== '').join('.');
  throw badInput(field, issue.message);
}
