import type { Deps } from '../deps.ts';
import { fingerprint } from '../kernel/crypto.ts';
import { inTransaction, ROW_GONE, retrying, type Tx } from '../kernel/db.ts';
import { badInput, notFound } from '../kernel/errors.ts';
import { once } from '../kernel/idempotency.ts';
import { type BatchId, newId } from '../kernel/ids.ts';
import { parse, text, whole } from '../kernel/input.ts';
import { lockMember } from '../kernel/locks.ts';
import type { LedgerBatch, MemberRef } from './types.ts';

type Grant = MemberRef & {
  points: number;
  idempotencyKey: string;
  reason: string;
  expiresAt?: Date | null | undefined;
};

/**
 * Gives points by hand: they enter the award path where the ledger begins, without a cap. They
 * count for no tier, but the tier is judged as by every award.
 *
 * Locks: MEMBER.
 * Refusals: none; CONFLICT for a key used otherwise; NOT_FOUND; BAD_USER_INPUT names the field.
 * A retry with the same key returns the first lot.
 * Events: points.awarded; tier.upgraded, and points.awarded for the bonus of a rank regained, where
 * a changed ladder gives a higher rank.
 */
export async function grantPoints(deps: Deps, args: Grant): Promise<LedgerBatch> {
  const { programId, memberId } = args;
  const points = parse(whole(1, 1_000_000_000_000), args.points, 'input.points');
  const key = parse(text(200), args.idempotencyKey, 'input.idempotencyKey');
  const reason = parse(text(500), args.reason, 'input.reason');
  const expiresAt = args.expiresAt ?? null;
  const payload = [memberId, 'MANUAL', String(points)];
  const resultId = newId<BatchId>(deps);
  const grant = async (tx: Tx) => {
    await lockMember(tx, { programId, memberId });
    const id = await once(tx, {
      programId,
      operation: 'grantPoints',
      key,
      fingerprints: fingerprint(payload),
      resultId,
      effect: () => earn(tx, { programId, memberId, id: resultId, points, reason, expiresAt }),
    });
    return tx.ledgerBatch.findUniqueOrThrow({ where: { programId_id: { programId, id } } });
  };
  // A rank that was removed meanwhile is not there to move to: judged again, there is another.
  return retrying(() => inTransaction(deps, grant), ROW_GONE);
}

/** The program's now; an expiry of its own must leave a lot the time to mature. */
async function nowBefore(tx: Tx, { programId, expiresAt }: Lot): Promise<Date> {
  const [clock] = await tx.$queryRaw<{ now: Date; maturing: Date }[]>`
    SELECT c.now, CASE p.maturity_days WHEN 0 THEN c.now
      ELSE day_start(p.id, day_of(p.id, c.now) + p.maturity_days) END AS maturing
    FROM programs p, program_now(p.id) AS c(now) WHERE p.id = ${programId}::uuid`;
  if (!clock) throw new Error('a grant in no program');
  if (expiresAt && expiresAt <= clock.maturing)
    throw badInput('input.expiresAt', 'an instant to come, after the points have matured');
  return clock.now;
}

type Lot = MemberRef & { id: BatchId; points: number; reason: string; expiresAt: Date | null };

async function earn(tx: Tx, lot: Lot): Promise<void> {
  const { programId, memberId } = lot;
  const member = await tx.member.findUnique({
    where: { programId_id: { programId, id: memberId } },
  });
  if (!member) throw notFound('input.memberId', 'member');
  const now = await nowBefore(tx, lot);
  const row = JSON.stringify({
    id: lot.id,
    member_id: memberId,
    source: 'MANUAL',
    generation: 1,
    requested: lot.points,
    points: lot.points,
    reason: lot.reason,
    earned_at: now,
    expires_at: lot.expiresAt,
  });
  await tx.$queryRaw`
    SELECT (earn_points(
      p, jsonb_populate_record(NULL::ledger_batches, ${row}::jsonb), ${now})).id::text
    FROM programs p WHERE p.id = ${programId}::uuid`;
  await tx.$executeRaw`
    SELECT raise_tier(p, ${memberId}::uuid, ${now}) FROM programs p
    WHERE p.id = ${programId}::uuid`;
}
