import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import type { RefusalReason } from '../generated/graphql.ts';
import { isUnavailable } from '../kernel/db.ts';
import { Mistake, type MistakeCode } from '../kernel/errors.ts';

/** What stands in `extensions.code`. */
export type ErrorCode =
  | MistakeCode
  | 'GRAPHQL_PARSE_FAILED'
  | 'GRAPHQL_VALIDATION_FAILED'
  | 'INTERNAL_SERVER_ERROR';

/** Every code that a client may see, with the HTTP status of the answer. */
export const httpStatus: Record<ErrorCode, number> = {
  BAD_USER_INPUT: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  CONFLICT: 409,
  TOO_MANY_REQUESTS: 429,
  SERVICE_UNAVAILABLE: 503,
  GRAPHQL_PARSE_FAILED: 400,
  GRAPHQL_VALIDATION_FAILED: 400,
  INTERNAL_SERVER_ERROR: 500,
};

export const INTERNAL = 'internal error; the request id says which one';

/**
 * Every refusal, with the sentence a client is told. Retryable is what time, or the ordinary run of
 * a program, may put right; not what somebody would first have to take back.
 */
export const refusals: Record<RefusalReason, { message: string; retryable: boolean }> = {
  POOL_NOT_ISSUING: { message: 'The pool does not issue codes at this time.', retryable: true },
  POOL_EXHAUSTED: { message: 'The pool has no code left.', retryable: true },
  NOT_ELIGIBLE: { message: "The claimant does not meet the pool's conditions.", retryable: true },
  CLAIM_LIMIT_REACHED: {
    message: 'The claimant has had as many codes of this pool as one gets.',
    retryable: false,
  },
  CODE_NOT_REDEEMABLE: { message: 'This code cannot be redeemed.', retryable: false },
  CODE_UNKNOWN: { message: 'There is no such code.', retryable: false },
  CODE_NOT_ALLOCATED: { message: 'Nobody has claimed this code yet.', retryable: true },
  CODE_ALREADY_REDEEMED: {
    message: 'This code was redeemed for another order.',
    retryable: false,
  },
  CODE_REVOKED: { message: 'This code was revoked.', retryable: false },
  CODE_EXPIRED: { message: 'This code has expired.', retryable: false },
  CODE_RESERVED: { message: 'This code is held for another order.', retryable: true },
  NOT_THE_OWNER: { message: 'This code belongs to somebody else.', retryable: false },
  BELOW_MINIMUM_ORDER: {
    message: "The order is below the minimum of the code's pool.",
    retryable: false,
  },
  ORDER_ALREADY_DISCOUNTED: {
    message: 'The order carries a code that does not combine with this one.',
    retryable: false,
  },
  INSUFFICIENT_POINTS: { message: 'The member has too few points to spend.', retryable: true },
  CAP_TRACKER_UNAVAILABLE: {
    message: 'The daily cap could not be checked; nothing was awarded.',
    retryable: true,
  },
  BUSY: { message: 'Somebody else is working on this; ask again.', retryable: true },
};

export type Fault = { code: ErrorCode; message: string; field?: string | undefined };

/**
 * An error as clients see it. Whatever was not thrown on purpose is an internal one, without
 * detail.
 */
export function faultOf(error: unknown): Fault {
  const cause = error instanceof GraphQLError ? (error.originalError ?? error) : error;
  if (cause instanceof Mistake)
    return { code: cause.code, message: cause.message, field: cause.field };
  if (isUnavailable(cause))
    return { code: 'SERVICE_UNAVAILABLE', message: 'the database is busy: ask again' };
  const argument = cause instanceof GraphQLError && badArgument(cause);
  return argument || { code: 'INTERNAL_SERVER_ERROR', message: INTERNAL };
}

/** graphql-js finds some bad arguments only while it executes: null through a nullable variable. */
function badArgument(error: GraphQLError): Fault | undefined {
  const found = /^Argument "(\w+)" (?:of (?:required|non-null) type "([^"]+)")?/.exec(
    error.message,
  );
  if (!found?.[1]) return undefined;
  const message = `${found[1]}: expected ${found[2]?.replace(/!$/, '') ?? 'a value of its type'}`;
  return { code: 'BAD_USER_INPUT', message, field: found[1] };
}

const isErrorCode = (code: unknown): code is ErrorCode =>
  typeof code === 'string' && Object.hasOwn(httpStatus, code);

/** Of an answer's errors: the first one decides. */
export function statusOf(errors: readonly GraphQLFormattedError[]): number {
  const code = errors[0]?.extensions?.code;
  return httpStatus[isErrorCode(code) ? code : 'INTERNAL_SERVER_ERROR'];
}

/** The shape of an answer that has errors and nothing else. */
export function errorBody(fault: Fault, requestId: string) {
  const { code, message, field } = fault;
  return { errors: [{ message, extensions: { code, ...(field && { field }), requestId } }] };
}
