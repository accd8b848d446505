import type { Refusal, RefusalReason } from '../../generated/graphql.ts';
import { apiMetrics } from '../../http/metrics.ts';
import type { Context } from '../context.ts';
import { refusals } from '../errors.ts';

/** A refusal as clients see it, and counted. `mistyped`: see `coupons`. */
export function refusal(
  { deps }: Context,
  { reason, mistyped }: { reason: RefusalReason; mistyped?: boolean },
): Refusal {
  apiMetrics(deps).refusals.inc({ reason });
  const { message, retryable } = refusals[reason];
  const hint = mistyped ? ' It looks mistyped.' : '';
  return { __typename: 'Refusal', reason, message: message + hint, retryable };
}
