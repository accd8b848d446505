import type { Deps } from '../deps.ts';
import { inTransaction } from '../kernel/db.ts';
import { conflict, notFound } from '../kernel/errors.ts';
import type { CodeId, ProgramId } from '../kernel/ids.ts';
import { parse, text } from '../kernel/input.ts';
import { appendEvent } from '../kernel/outbox.ts';
import { lockCode } from './lock-code.ts';
import { COUNTS } from './sealed.ts';
import type { Code } from './types.ts';

/**
 * Withdraws a code that was not redeemed; it beats a reservation. Its claimant keeps the place in
 * the pool's limit that the code took.
 *
 * Locks: the code's row.
 * Refusals: none; CONFLICT for a redeemed code (void its redemption first), NOT_FOUND.
 * A retry returns the code as the first call left it.
 * Events: code.revoked.
 */
export async function revokeCode(
  deps: Deps,
  args: { programId: ProgramId; codeId: CodeId; reason: string },
): Promise<Code> {
  const { programId, codeId: id } = args;
  const reason = parse(text(500), args.reason, 'reason');
  return inTransaction(deps, async (tx) => {
    await lockCode(tx, { programId, codeId: id });
    const code = await tx.code.findUnique({
      where: { programId_id: { programId, id }, ...COUNTS },
    });
    if (!code) throw notFound('id', 'code');
    if (code.status === 'REVOKED') return code;
    if (code.status === 'REDEEMED') throw conflict('id: a redeemed code cannot be revoked');
    const changed = await tx.$executeRaw`
      UPDATE codes SET status = 'REVOKED', revoked_at = program_now(program_id),
        revoke_reason = ${reason}, reserved_for = NULL, reserved_until = NULL
      WHERE program_id = ${programId}::uuid AND id = ${id}::uuid
        AND status IN ('AVAILABLE', 'ALLOCATED')`;
    if (changed !== 1) throw new Error(`revoked ${changed} codes instead of one`);
    const { poolId, memberId } = code;
    const data = { codeId: id, poolId };
    await appendEvent(tx, { programId, type: 'code.revoked', memberId, data });
    return tx.code.findUniqueOrThrow({ where: { programId_id: { programId, id } } });
  });
}
