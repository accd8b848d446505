import type { Db } from '../../kernel/db.ts';
import type { Money } from '../advisor/stated.ts';

const USUAL_DAYS = 30;

type Row = { now: Date; usualEnd: Date; currency: string; minorDigits: number };

/**
 * The program's now, the midnight after the last of 30 days from tomorrow on, and its money.
 */
export async function readCalendar(
  { db }: { db: Db },
  { programId }: { programId: string },
): Promise<{ now: Date; usualEnd: Date; money: Money }> {
  const [row] = await db.$queryRaw<Row[]>`
    SELECT p.currency, minor_digits(p.currency) AS "minorDigits", clock.now,
      day_start(${programId}::uuid,
      day_of(${programId}::uuid, clock.now) + ${USUAL_DAYS + 1}::int) AS "usualEnd"
    FROM (SELECT program_now(${programId}::uuid) AS now OFFSET 0) clock
    JOIN programs p ON p.id = ${programId}::uuid`;
  if (!row) throw new Error('a program without a clock');
  const { now, usualEnd, ...money } = row;
  return { now, usualEnd, money };
}
