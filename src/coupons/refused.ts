import { looksMistyped } from './canonical.ts';
import type { CouponRefusal, Refused } from './types.ts';

/** A refusal of a hot function; an unknown code is told apart from one that is spelled wrong. */
export function refused(outcome: string, canonical: string): Refused {
  const reason = outcome as CouponRefusal;
  return reason === 'CODE_UNKNOWN'
    ? { ok: false, reason, mistyped: looksMistyped(canonical) }
    : { ok: false, reason };
}
