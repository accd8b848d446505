import type { Deps } from '../deps.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import { notFound } from '../kernel/errors.ts';
import type { ProgramId, RedemptionId } from '../kernel/ids.ts';
import { parse, text } from '../kernel/input.ts';
import { lockOrder } from '../kernel/locks.ts';
import { type CodeOf, lockCode } from './lock-code.ts';
import type { Redemption } from './types.ts';

type Void = { programId: ProgramId; redemptionId: RedemptionId; reason: string };

/**
 * Takes a redemption back: the code is its holder's again, and may be redeemed for any order.
 *
 * Locks: ORDER, the code's row: the same as its redemption, in the same order.
 * Refusals: none; NOT_FOUND.
 * A retry returns the first void, with its time.
 * Events: none.
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
    await giveBack(tx, { programId, codeId: current.codeId });
    const changed = await tx.$executeRaw`
      UPDATE redemptions SET voided_at = program_now(program_id), void_reason = ${reason}
      WHERE program_id = ${programId}::uuid AND id = ${id}::uuid AND voided_at IS NULL`;
    if (changed !== 1) throw new Error(`voided ${changed} redemptions instead of one`);
    return tx.redemption.findUniqueOrThrow({ where });
  });
}

async function giveBack(tx: Tx, { programId, codeId }: CodeOf): Promise<void> {
  const { count } = await tx.code.updateMany({
    where: { programId, id: codeId, status: 'REDEEMED' },
    data: { status: 'ALLOCATED', redeemedAt: null, reservedFor: null, reservedUntil: null },
  });
  if (count !== 1) throw new Error(`gave back ${count} codes instead of one`);
}
