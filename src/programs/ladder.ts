import { z } from 'zod';
import type { Tx } from '../kernel/db.ts';
import { badInput } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { parse, text, whole } from '../kernel/input.ts';
import type { Tier, TierInput } from './types.ts';

const MAX_TIERS = 50;
const MAX_MULTIPLIER = 1_000_000;

export type Rung = Pick<Tier, 'rank' | 'name' | 'qualifyPoints' | 'maintainPoints' | 'multiplier'>;

const tier = z.object({
  name: text(100),
  qualifyPoints: whole(0).transform(BigInt),
  maintainPoints: whole(0).transform(BigInt),
  multiplier: whole(0, MAX_MULTIPLIER),
});

/** Maintaining a rank takes 80 % of what it takes to reach it. */
export const defaultLadder: readonly TierInput[] = [
  { name: 'Member', qualifyPoints: 0, maintainPoints: 0, multiplier: 10_000 },
  { name: 'Silver', qualifyPoints: 1_000, maintainPoints: 800, multiplier: 12_500 },
  { name: 'Gold', qualifyPoints: 5_000, maintainPoints: 4_000, multiplier: 15_000 },
  { name: 'VIP', qualifyPoints: 15_000, maintainPoints: 12_000, multiplier: 20_000 },
];

/** Rank is the position. Throws BAD_USER_INPUT with a path that begins with `path`. */
export function readLadder(tiers: readonly TierInput[], path: string): Rung[] {
  if (tiers.length < 1 || tiers.length > MAX_TIERS) throw badInput(path, `1 to ${MAX_TIERS} tiers`);
  const rungs = parse(z.array(tier), tiers, path).map((one, index) => ({
    ...one,
    rank: index + 1,
  }));
  for (const [index, rung] of rungs.entries()) {
    const below = rungs[index - 1]?.qualifyPoints;
    if (below === undefined && rung.qualifyPoints !== 0n)
      throw badInput(`${path}.0.qualifyPoints`, '0 for the first tier');
    if (below !== undefined && rung.qualifyPoints <= below)
      throw badInput(`${path}.${index}.qualifyPoints`, 'more than the tier below it');
    if (rung.maintainPoints > rung.qualifyPoints)
      throw badInput(`${path}.${index}.maintainPoints`, 'at most its qualifyPoints');
  }
  return rungs;
}

/** Every member of the program is evaluated anew on the next day. */
export async function raiseVersion(tx: Tx, programId: ProgramId): Promise<void> {
  await tx.program.update({
    where: { id: programId },
    data: { ladderVersion: { increment: 1 } },
  });
}
