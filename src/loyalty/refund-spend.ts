import type { Deps } from '../deps.ts';
import { fingerprint } from '../kernel/crypto.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import { conflict, notFound } from '../kernel/errors.ts';
import { once } from '../kernel/idempotency.ts';
import type { ProgramId, SpendId } from '../kernel/ids.ts';
import { parse, text, whole } from '../kernel/input.ts';
import { lockMember } from '../kernel/locks.ts';
import type { Spend } from './types.ts';

type Refund = { programId: ProgramId; spendId: SpendId; points: number; idempotencyKey: string };

/**
 * Puts points of a spend back into the lots that they came from, newest draw first.
 *
 * Locks: MEMBER, the lots.
 * Refusals: none; CONFLICT for more than the spend has left, and for a key used otherwise;
 * NOT_FOUND.
 * A retry with the same key returns the spend and changes nothing.
 * Events: points.refunded, points.debt_paid where there is debt, points.expired for what came back
 * too late.
 */
export async function refundSpend(deps: Deps, args: Refund): Promise<Spend> {
  const { programId, spendId: id } = args;
  const points = parse(whole(1), args.points, 'input.points');
  const key = parse(text(200), args.idempotencyKey, 'input.idempotencyKey');
  return inTransaction(deps, async (tx) => {
    const spend = await tx.spend.findUnique({ where: { programId_id: { programId, id } } });
    if (!spend) throw notFound('input.spendId', 'spend');
    await lockMember(tx, { programId, memberId: spend.memberId });
    await once(tx, {
      programId,
      operation: 'refundSpend',
      key,
      fingerprints: fingerprint([id, String(points)]),
      resultId: id,
      effect: () => putBack(tx, { programId, id, points }),
    });
    return tx.spend.findUniqueOrThrow({ where: { programId_id: { programId, id } } });
  });
}

async function putBack(tx: Tx, of: { programId: string; id: string; points: number }) {
  const [row] = await tx.$queryRaw<{ outcome: string }[]>`
    SELECT refund_spend(${of.programId}::uuid, ${of.id}::uuid, ${of.points}::bigint) AS outcome`;
  if (row?.outcome === 'TOO_MUCH') throw conflict('input.points: more than the spend has left');
  if (row?.outcome !== 'REFUNDED') throw new Error(`refund_spend answered ${row?.outcome}`);
}
