import type { Deps } from '../deps.ts';
import { inTransaction } from '../kernel/db.ts';
import type { ProgramId } from '../kernel/ids.ts';
import type { Actor, Code } from './types.ts';
import { openCode } from './vault.ts';

/**
 * Reads the text of codes without claiming them. Who read each is recorded before the text is
 * given: when the record cannot be written, nothing is read. Answers in the order of `codes`.
 *
 * Locks: the code rows that were never read before, in the order of their ids.
 * Refusals: none.
 * A retry is another reading, and recorded as one.
 * Events: none.
 */
export async function revealCodes(
  deps: Deps,
  reading: { programId: ProgramId; codes: readonly Code[]; actor: Actor },
): Promise<string[]> {
  const { programId, codes, actor } = reading;
  const ids = codes.map((code) => code.id).sort();
  const texts = codes.map((code) => openCode(deps, code));
  await inTransaction(deps, async (tx) => {
    await tx.$queryRaw`
      SELECT id::text FROM codes
      WHERE program_id = ${programId}::uuid AND id = ANY (${ids}::uuid[]) AND revealed_at IS NULL
      ORDER BY id FOR NO KEY UPDATE`;
    await tx.$executeRaw`
      UPDATE codes SET revealed_at = program_now(program_id)
      WHERE program_id = ${programId}::uuid AND id = ANY (${ids}::uuid[]) AND revealed_at IS NULL`;
    await tx.$executeRaw`
      INSERT INTO code_reveals (program_id, code_id, kind, actor, at)
      SELECT ${programId}::uuid, id, 'READ', ${actor}, program_now(${programId}::uuid)
      FROM unnest(${ids}::uuid[]) id`;
  });
  return texts;
}
