import type { Deps } from '../deps.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import { unavailable } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { type CodeRow, toCode } from './sql/code-row.ts';
import type { Actor, Code } from './types.ts';
import { openCode } from './vault.ts';

/**
 * Reads the text of codes without claiming them. Who read each is recorded before the text is
 * given: when the record cannot be written, nothing is read. Answers in the order of `codes`.
 *
 * Locks: the code rows that were never read before, in the order of their ids.
 * Refusals: none; SERVICE_UNAVAILABLE when a code has changed hands since it was looked up.
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
    await lockUnseen(tx, reading);
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

type Looked = { programId: ProgramId; codes: readonly Code[] };

/**
 * A code that nobody has seen may have gone back to its pool since it was looked up, and be another
 * holder's by now: its text is for those who are given it next. Once seen it never goes back.
 */
async function lockUnseen(tx: Tx, { programId, codes }: Looked): Promise<void> {
  const unseen = codes.filter((code) => code.revealedAt === null);
  const rows = await tx.$queryRaw<CodeRow[]>`
    SELECT * FROM codes
    WHERE program_id = ${programId}::uuid AND id = ANY (${unseen.map(({ id }) => id)}::uuid[])
    ORDER BY id FOR NO KEY UPDATE`;
  const current = new Map(rows.map(toCode).map((code) => [code.id, code]));
  for (const code of unseen)
    if (!sameHolder(code, current.get(code.id)))
      throw unavailable('the code has changed hands: ask again');
}

/** An owner may have been found meanwhile for what had none. */
const sameHolder = (before: Code, now: Code | undefined): boolean =>
  now !== undefined &&
  (before.status === 'AVAILABLE') === (now.status === 'AVAILABLE') &&
  before.claimEmail === now.claimEmail &&
  (before.memberId === null || before.memberId === now.memberId);
