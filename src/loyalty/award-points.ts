import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { errorCode } from '../kernel/db.ts';
import { badInput, conflict, notFound, orWhenBusy } from '../kernel/errors.ts';
import { counted } from '../kernel/hot-metrics.ts';
import { type BatchId, type MemberId, newId, type ProgramId } from '../kernel/ids.ts';
import { parse, text, whole } from '../kernel/input.ts';
import { raiseTracker, readTracker, UNKNOWN } from './cap-tracker.ts';
import type { AwardAnswer, AwardItem } from './sql/award-points.ts';
import { type LedgerBatch, OUT_OF_RANGE, PURCHASES, type Refused, tooMany } from './types.ts';

export type Award = {
  programId: ProgramId;
  memberId: MemberId;
  source: string;
  orderId: string;
  generation: number;
  /** Minor units. */
  amount: number;
  occurredAt?: Date | null | undefined;
};

export type Awarded = { ok: true; batch: LedgerBatch; alreadyAwarded: boolean; capped: boolean };

const purchase = z.object({
  source: z.enum(PURCHASES, { error: `one of ${PURCHASES.join(', ')}` }),
  orderId: text(200),
  generation: whole(1, 1_000_000),
  amount: whole(0, 1_000_000_000_000),
});

/**
 * Awards the points of a purchase, once for ever for each source, order and generation.
 *
 * Locks: AWARD of the order, MEMBER.
 * Refusals: CAP_TRACKER_UNAVAILABLE (nothing was written), BUSY; CONFLICT for a key used otherwise,
 * or while the generation before is not refunded in full; BAD_USER_INPUT for a date out of its
 * window.
 * A retry returns the first result, also when that was no points.
 * Events: points.awarded where there are any, points.debt_paid where there is debt,
 * points.reversed for refunds that were waiting; tier.upgraded, and points.awarded for the bonus of
 * a rank regained.
 */
export async function awardPoints(deps: Deps, award: Award): Promise<Awarded | Refused> {
  const { programId, memberId } = award;
  const said = parse(purchase, award, 'input');
  const id = newId<BatchId>(deps);
  const item = { ...said, id, memberId, occurredAt: award.occurredAt ?? undefined };
  const asked = askedIfNeeded(deps, { programId, item });
  const answer = await counted(deps, { operation: 'award', answer: asked });
  const { outcome, lot, dayTotal, seen } = answer;
  if (!lot) return refuse(outcome);
  if (outcome === 'AWARDED' && dayTotal !== null)
    raiseTracker(deps, { programId, memberId, lot, total: dayTotal, seen });
  const capped = lot.points < lot.requested;
  return { ok: true, batch: lot, alreadyAwarded: outcome === 'REPEATED', capped };
}

type Purchase = { programId: ProgramId; item: Omit<AwardItem, 'tracked'> };

/**
 * Only the ledger knows which awards need the cap, and learning it must not cost a second call of
 * each. So the tracker is asked first in a program where that was of use the last time; elsewhere
 * the ledger is, and the tracker only when the ledger has asked for it.
 */
async function askedIfNeeded(deps: Deps, { programId, item }: Purchase) {
  const of = { programId, memberId: item.memberId };
  const { trackerFirst } = deps.hot;
  const isFirst = trackerFirst.has(programId);
  let seen = isFirst ? await readTracker(deps, of) : UNKNOWN;
  const ask = () => submit(deps, { programId, item: { ...item, tracked: seen.known } });
  let answer = await ask();
  if (answer.outcome === 'CAP_TRACKER_UNAVAILABLE' && !isFirst) {
    seen = await readTracker(deps, of);
    if (seen.known) answer = await ask();
  }
  const { outcome, lot, dayTotal } = answer;
  const isUncapped = outcome === 'AWARDED' && dayTotal === null && lot && lot.requested > 0n;
  if (!seen.known || isUncapped) trackerFirst.delete(programId);
  else if (dayTotal !== null) trackerFirst.add(programId);
  return { ...answer, seen };
}

async function submit(
  deps: Deps,
  { programId, item }: { programId: ProgramId; item: AwardItem },
): Promise<AwardAnswer> {
  const busy: AwardAnswer = { outcome: 'BUSY', lot: undefined, dayTotal: null };
  try {
    return await orWhenBusy(deps.hot.awards.submit(programId, item), busy);
  } catch (error) {
    if (errorCode(error) === OUT_OF_RANGE) throw tooMany('input.amount');
    throw error;
  }
}

function refuse(outcome: string): Refused {
  switch (outcome) {
    case 'BUSY':
    case 'CAP_TRACKER_UNAVAILABLE':
      return { ok: false, reason: outcome };
    case 'NO_SUCH_MEMBER':
      throw notFound('input.memberId', 'member');
    case 'PAYLOAD_DIFFERS':
      throw conflict('input.orderId: awarded already, to another member or for another amount');
    case 'EARLIER_GENERATION_OPEN':
      throw conflict('input.generation: the generation before is not refunded in full');
    case 'TOO_LATE':
      throw badInput('input.occurredAt', "an instant not after the program's now");
    case 'TOO_EARLY':
      throw badInput('input.occurredAt', 'an instant within maxBackdateDays of now');
    default:
      throw new Error(`award_points answered ${outcome}`);
  }
}
