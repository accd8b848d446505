import type { Db } from './db.ts';

/** A piece of background work: its kind, and the row that it is about. */
export type Wake = { task: string; programId: string; id: string };

/**
 * Has the fleet look after it soon, or at an instant of real time. Said within a transaction, it is
 * heard when that commits. Should it be lost, the fleet finds the work within a minute.
 */
export async function wakeFleet(
  db: Pick<Db, '$queryRaw'>,
  { task, programId, id, at }: Wake & { at?: Date },
): Promise<void> {
  await db.$queryRaw`
    SELECT wake_fleet(${programId}::uuid, ${task}, ${id}::uuid, ${at ?? null}::timestamptz)::text`;
}
