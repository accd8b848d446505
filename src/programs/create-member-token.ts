import type { Deps } from '../deps.ts';
import { notFound } from '../kernel/errors.ts';
import { type MemberId, type ProgramId, parseId } from '../kernel/ids.ts';
import { parse, whole } from '../kernel/input.ts';
import { signMemberToken } from './member-token.ts';

const MAX_TTL_SECONDS = 86_400;

/**
 * Locks: none.
 * Refusals: none; NOT_FOUND for a member that is not of this program.
 * A retry mints another token: nothing is stored.
 * Events: none.
 */
export async function createMemberToken(
  deps: Deps,
  wish: { programId: ProgramId; memberId: string; ttlSeconds: number },
): Promise<string> {
  const ttlSeconds = parse(whole(1, MAX_TTL_SECONDS), wish.ttlSeconds, 'ttlSeconds');
  const memberId = parseId<MemberId>(wish.memberId);
  const { programId } = wish;
  const known = memberId && (await deps.db.member.count({ where: { programId, id: memberId } }));
  if (!memberId || !known) throw notFound('memberId', 'member');
  return signMemberToken(deps, { programId, memberId, ttlSeconds });
}
