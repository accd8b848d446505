import type { Deps } from '../deps.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { requireMember } from '../members/index.ts';
import type { Asker } from './types.ts';

/** The member whose code a merchant's server says it is must be one of the program. */
export async function requireOwner(
  deps: Deps,
  { programId, asker }: { programId: ProgramId; asker: Extract<Asker, { kind: 'merchant' }> },
): Promise<void> {
  if (!asker.owner) return;
  await requireMember(deps, { programId, memberId: asker.owner, field: 'input.memberId' });
}
