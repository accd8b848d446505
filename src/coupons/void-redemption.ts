import type { Deps } from '../deps.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import { notFound } from '../kernel/errors.ts';
import type { ProgramId, RedemptionId } from '../kernel/ids.ts';
import { parse, text } from '../kernel/input.ts';
import { lockOrder } from '../kernel/locks.ts';
import { appendEvent } from '../kernel/outbox.ts';
import { type CodeOf, lockCode } from './lock-code.ts';
import type { Code, Redemption } from './types.ts';

type Void = { programId: ProgramId; redemptionId: RedemptionId; reason: string };

/**
 * Takes a redemption back: the code is its holder's again, and may be redeemed for any order.
 *
 * Locks: ORDER, the code's row: the same as its redemption, in the same order.
 * Refusals: none; NOT_FOUND.
 * A retry returns the first void, with its time.
 * Events: code.redemption_voided.
 */
export async function voidRedemption(deps: Deps, args: Void): Promise<Redemption> {
  const { programId, redemptionId: id } = args;
  const reason = parse(text(500), args.reason, 'reason');
  const where = { programId_id: { programId, id } };
  return inTransaction(deps, async (tx) => {
    const redemption = await tx.redemption.findUnique({ where });
    if (!redemption) throw notFound('id', 'redemption');
    await lockOrder(tx, { programId, orderId: redemption.orderId });
    await lockCode(tx, { programId, codeId: redemption.codeId });
    const current = await tx.redemption.findUniqueOrThrow({ where });
    if (current.voidedAt) return current;
    const { poolId, memberId } = await giveBack(tx, { programId, codeId: current.codeId });
    const changed = await tx.$executeRaw`
      UPDATE redemptions SET voided_at = program_now(program_id), void_reason = ${reason}
      WHERE program_id = ${programId}::uuid AND id = ${id}::uuid AND voided_at IS NULL`;
    if (changed !== 1) throw new Error(`voided ${changed} redemptions instead of one`);
    const data = { codeId: current.codeId, poolId, redemptionId: id };
    await appendEvent(tx, { programId, type: 'code.redemption_voided', memberId, data });
    return tx.redemption.findUniqueOrThrow({ where });
  });
}

/** Throws when the code is not redeemed. */
function giveBack(tx: Tx, { programId, codeId }: CodeOf): Promise<Code> {
  return tx.code.update({
    where: { programId_id: { programId, id: codeId }, status: 'REDEEMED' },
    data: { status: 'ALLOCATED', redeemedAt: null, reservedFor: null, reservedUntil: null },
  });
}
