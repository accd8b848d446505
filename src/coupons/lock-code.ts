import type { Tx } from '../kernel/db.ts';

export type CodeOf = { programId: string; codeId: string };

/** The row of one code, until the transaction ends: whoever changes its state waits for it. */
export async function lockCode(tx: Tx, { programId, codeId }: CodeOf): Promise<void> {
  await tx.$queryRaw`
    SELECT id::text FROM codes WHERE program_id = ${programId}::uuid AND id = ${codeId}::uuid
    FOR NO KEY UPDATE`;
}
