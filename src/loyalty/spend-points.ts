import type { Deps } from '../deps.ts';
import { conflict, notFound, orWhenBusy } from '../kernel/errors.ts';
import { counted } from '../kernel/hot-metrics.ts';
import { newId, type SpendId } from '../kernel/ids.ts';
import { parse, text, whole } from '../kernel/input.ts';
import type { SpendAnswer, SpendItem } from './sql/spend-points.ts';
import type { MemberRef, Refused, Spend } from './types.ts';

export type SpendPoints = MemberRef & {
  points: number;
  idempotencyKey: string;
  reason?: string | null | undefined;
};

export type Spent = { ok: true; spend: Spend; alreadySpent: boolean };

/**
 * Spends points of the member's oldest lots that are matured and not expired, or none.
 *
 * Locks: MEMBER, the lots that are drawn from.
 * Refusals: INSUFFICIENT_POINTS, BUSY; CONFLICT for a key used with another payload.
 * A retry returns the first spend.
 * Events: points.spent.
 */
export async function spendPoints(deps: Deps, spend: SpendPoints): Promise<Spent | Refused> {
  const item: SpendItem = {
    id: newId<SpendId>(deps),
    memberId: spend.memberId,
    points: parse(whole(1), spend.points, 'input.points'),
    idempotencyKey: parse(text(200), spend.idempotencyKey, 'input.idempotencyKey'),
    reason: parse(text(500).nullish(), spend.reason, 'input.reason') ?? undefined,
  };
  const busy: SpendAnswer = { outcome: 'BUSY', spend: undefined };
  const submitted = deps.hot.spends.submit(spend.programId, item);
  const answer = counted(deps, { operation: 'spend', answer: submitted });
  const { outcome, spend: made } = await orWhenBusy(answer, busy);
  if (made) return { ok: true, spend: made, alreadySpent: outcome === 'REPEATED' };
  if (outcome === 'INSUFFICIENT_POINTS' || outcome === 'BUSY')
    return { ok: false, reason: outcome };
  if (outcome === 'NO_SUCH_MEMBER') throw notFound('input.memberId', 'member');
  if (outcome === 'PAYLOAD_DIFFERS')
    throw conflict('input.idempotencyKey: already used with another payload');
  throw new Error(`spend_points answered ${outcome}`);
}
