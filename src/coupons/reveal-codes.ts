import type { Deps } from '../deps.ts';
import { inTransaction } from '../kernel/db.ts';
import { unavailable } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import type { Actor, Code } from './types.ts';
import { openCode } from './vault.ts';

type Reading = {
  programId: ProgramId;
  codes: readonly Code[];
  actor: Actor;
  /** For a file that leaves the engine. */
  kind?: 'EXPORT';
};

/**
 * Reads the text of codes without claiming them. Who read each is recorded before the text is
 * given: when the record cannot be written, nothing is read. Answers in the order of `codes`.
 *
 * Locks: the code rows that were never read before, in the order of their ids.
 * Refusals: none; SERVICE_UNAVAILABLE when a code has changed hands since it was looked up.
 * A retry is another reading, and recorded as one.
 * Events: none.
 */
export async function revealCodes(deps: Deps, reading: Reading): Promise<string[]> {
  const { programId, codes, actor, kind = 'READ' } = reading;
  const items = codes.map(({ id, status, memberId, claimEmail }) => ({
    id,
    held: status !== 'AVAILABLE',
    member_id: memberId,
    claim_email: claimEmail,
  }));
  const texts = codes.map((code) => openCode(deps, code));
  await inTransaction(deps, async (tx) => {
    const [row] = await tx.$queryRaw<{ count: number }[]>`
      SELECT cardinality(reveal_codes(${programId}::uuid, ${JSON.stringify(items)}::jsonb,
        ${kind}::reveal_kind, ${actor})) AS count`;
    if (row?.count !== codes.length) throw unavailable('the code has changed hands: ask again');
  });
  return texts;
}
