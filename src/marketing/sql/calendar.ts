import type { Db } from '../../kernel/db.ts';

const USUAL_DAYS = 30;

/** The program's now, and the midnight after the last of 30 days from tomorrow on. */
export async function readCalendar(
  { db }: { db: Db },
  { programId }: { programId: string },
): Promise<{ now: Date; usualEnd: Date }> {
  const [row] = await db.$queryRaw<{ now: Date; usualEnd: Date }[]>`
    SELECT clock.now, day_start(${programId}::uuid,
      day_of(${programId}::uuid, clock.now) + ${USUAL_DAYS + 1}::int) AS "usualEnd"
    FROM (SELECT program_now(${programId}::uuid) AS now OFFSET 0) clock`;
  if (!row) throw new Error('a program without a clock');
  return row;
}
