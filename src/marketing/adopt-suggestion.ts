import type { Deps } from '../deps.ts';
import { conflict, notFound } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { getProgram, programNow } from '../programs/index.ts';
import { isAllowed } from './advisor/limits.ts';
import { openDraft } from './advisor/sealed-draft.ts';
import type { Draft } from './types.ts';

/**
 * The draft that a suggestion's id carries. Writes nothing: a human decides.
 *
 * Locks: none.
 * Refusals: none; NOT_FOUND for what is no suggestion to this program, or would have ended;
 * CONFLICT for one that takes more off than the program allows by now.
 * A retry answers the same, until then.
 * Events: none.
 */
export async function adoptSuggestion(
  deps: Deps,
  { programId, id }: { programId: ProgramId; id: string },
): Promise<Draft> {
  const draft = openDraft(deps, { programId, id });
  if (!draft || draft.endsAt <= (await programNow(deps, { programId })))
    throw notFound('id', 'suggestion');
  if (!isAllowed(draft, await getProgram(deps, { programId })))
    throw conflict('maxDiscountRate was lowered below this offer: ask the advisor anew');
  return draft;
}
