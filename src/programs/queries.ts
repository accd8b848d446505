import type { Deps } from '../deps.ts';
import { notFound } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { inOrder } from '../kernel/in-order.ts';
import type { Program, SecretKey, Tier } from './types.ts';

type Of = { programId: ProgramId };

/** NOT_FOUND for a program that is gone, as a member token may outlive it. */
export async function getProgram(deps: Deps, { programId }: Of): Promise<Program> {
  const program = await deps.db.program.findUnique({ where: { id: programId } });
  if (!program) throw notFound('program', 'program');
  return program;
}

/** What the program's clock shows: the domain's only "now". */
export async function programNow(deps: Deps, { programId }: Of): Promise<Date> {
  const rows = await deps.db.$queryRaw<{ now: Date | null }[]>`
    SELECT program_now(${programId}::uuid) AS now`;
  const now = rows[0]?.now;
  if (!now) throw notFound('program', 'program');
  return now;
}

/** The ladder, lowest rank first. */
export const listTiers = (deps: Deps, { programId }: Of): Promise<Tier[]> =>
  deps.db.tier.findMany({ where: { programId }, orderBy: { rank: 'asc' } });

/** Ids are made in order of time, so this is the order in which the keys were created. */
export const listSecretKeys = (deps: Deps, { programId }: Of): Promise<SecretKey[]> =>
  deps.db.secretKey.findMany({ where: { programId }, orderBy: { id: 'asc' } });

/** For loaders: in the order of the ids, null for one that is not of this program. */
export async function tiersByIds(
  deps: Deps,
  { programId, ids }: Of & { ids: readonly string[] },
): Promise<(Tier | null)[]> {
  const rows = await deps.db.tier.findMany({ where: { programId, id: { in: [...ids] } } });
  return inOrder(ids, rows, (row) => row.id);
}
