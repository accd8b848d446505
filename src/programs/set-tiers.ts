import type { Deps } from '../deps.ts';
import { errorCode, inTransaction, type Tx } from '../kernel/db.ts';
import { conflict } from '../kernel/errors.ts';
import { newId, type ProgramId, type TierId } from '../kernel/ids.ts';
import { lockProgram } from '../kernel/locks.ts';
import { type Rung, raiseVersion, readLadder } from './ladder.ts';
import type { Tier, TierInput } from './types.ts';

// What a foreign key answers when a row that others refer to is deleted.
const STILL_REFERRED_TO: ReadonlySet<string | undefined> = new Set(['23503', '23001']);

/**
 * Nobody's tier changes here: a member is judged by a new ladder at the next award or on the next
 * day.
 *
 * Locks: PROGRAM, then the rows of its tiers.
 * Refusals: none; CONFLICT when members or pools stand on a rank that would go.
 * A retry sets the same ladder again; each rank keeps its id.
 * Events: none.
 */
export async function setTiers(
  deps: Deps,
  { programId, tiers }: { programId: ProgramId; tiers: readonly TierInput[] },
): Promise<Tier[]> {
  const rungs = readLadder(tiers, 'tiers');
  try {
    return await inTransaction(deps, async (tx) => {
      await lockProgram(tx, programId);
      if (isAnotherLadder(await ladderOf(tx, programId), rungs)) await raiseVersion(tx, programId);
      // The foreign keys decide, not a count: a member may arrive on the rank between the two.
      await tx.tier.deleteMany({ where: { programId, rank: { gt: rungs.length } } });
      for (const rung of rungs) await setRung(tx, { deps, programId, rung });
      return ladderOf(tx, programId);
    });
  } catch (error) {
    if (!STILL_REFERRED_TO.has(errorCode(error))) throw error;
    throw conflict('tiers: members or pools stand on a rank that would be removed');
  }
}

const ladderOf = (tx: Tx, programId: ProgramId): Promise<Tier[]> =>
  tx.tier.findMany({ where: { programId }, orderBy: { rank: 'asc' } });

/** Whether somebody might stand elsewhere on it: a new name or multiplier moves nobody. */
const isAnotherLadder = (before: readonly Rung[], after: readonly Rung[]): boolean =>
  before.length !== after.length ||
  before.some(
    ({ qualifyPoints, maintainPoints }, index) =>
      qualifyPoints !== after[index]?.qualifyPoints ||
      maintainPoints !== after[index]?.maintainPoints,
  );

function setRung(
  tx: Tx,
  { deps, programId, rung }: { deps: Deps; programId: ProgramId; rung: Rung },
) {
  return tx.tier.upsert({
    where: { programId_rank: { programId, rank: rung.rank } },
    create: { ...rung, programId, id: newId<TierId>(deps) },
    update: rung,
  });
}
