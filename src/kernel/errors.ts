/**
 * What the caller did wrong, as opposed to a refusal, which is an answer a client must be ready
 * for.
 */
export type MistakeCode =
  | 'BAD_USER_INPUT'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'TOO_MANY_REQUESTS'
  | 'SERVICE_UNAVAILABLE';

/**
 * Thrown on purpose; its message is shown to the caller, so it never repeats a value that was sent.
 */
export class Mistake extends Error {
  readonly code: MistakeCode;
  readonly field: string | undefined;

  constructor(code: MistakeCode, message: string, field?: string) {
    super(message);
    this.name = 'Mistake';
    this.code = code;
    this.field = field;
  }
}

/**
 * `field` is the path of the argument, such as `input.count`; `expected` says what would have been
 * right.
 */
export const badInput = (field: string, expected: string) =>
  new Mistake('BAD_USER_INPUT', `${field}: expected ${expected}`, field);

/** Also the answer for what belongs to another program: whether it exists there is not told. */
export const notFound = (field: string, what: string) =>
  new Mistake('NOT_FOUND', `${field}: no such ${what}`, field);

export const conflict = (message: string) => new Mistake('CONFLICT', message);

export const unavailable = (message: string) => new Mistake('SERVICE_UNAVAILABLE', message);

/** Whether an error says that the engine could not do it now: its caller may ask again. */
export const isBusy = (error: unknown): boolean =>
  error instanceof Mistake && error.code === 'SERVICE_UNAVAILABLE';

/** Where being busy is an answer that a client must be ready for, and not an error. */
export async function orWhenBusy<T>(attempt: Promise<T>, busy: T): Promise<T> {
  try {
    return await attempt;
  } catch (error) {
    if (isBusy(error)) return busy;
    throw error;
  }
}
