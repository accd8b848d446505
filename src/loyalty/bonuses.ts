import type { Deps } from '../deps.ts';
import type { Prisma } from '../generated/prisma/client.ts';
import { ROW_GONE, retrying } from '../kernel/db.ts';
import type { DueMember, MemberTask } from '../kernel/member-task.ts';

type Members = Parameters<MemberTask['work']>[1];

const NOBODY = '00000000-0000-0000-0000-000000000000';

/**
 * A bonus on the member's birthday, once a year.
 *
 * Locks: MEMBER of a page, in sorted order.
 * Refusals: none.
 * A retry finds the year's bonus paid.
 * Events: points.awarded, points.debt_paid where there is debt, tier.upgraded where a changed
 * ladder gives a higher rank.
 */
export const birthdayBonusTask: MemberTask = {
  task: 'BIRTHDAY_BONUS',
  due: (deps, { programId, day, after = NOBODY, limit }) => deps.db.$queryRaw<DueMember[]>`
    SELECT member_id::text AS "memberId", member_id::text AS cursor
    FROM birthdays_due(${programId}::uuid, ${day}::date)
    WHERE member_id > ${after}::uuid ORDER BY member_id LIMIT ${limit}::int`,
  hasDays: (deps, { programId }) => isSet(deps, { id: programId, birthdayBonus: { gt: 0 } }),
  work: (deps, members) => pay(deps, 'BIRTHDAY', members),
};

/**
 * A bonus for a member whose latest purchase lies exactly `inactiveDays` before the day, once for
 * each such spell.
 *
 * Locks: MEMBER of a page, in sorted order.
 * Refusals: none.
 * A retry finds the spell's bonus paid.
 * Events: points.awarded, points.debt_paid where there is debt, tier.upgraded where a changed
 * ladder gives a higher rank.
 */
export const reengagementBonusTask: MemberTask = {
  task: 'REENGAGEMENT_BONUS',
  due: (deps, { programId, day, after = NOBODY, limit }) => deps.db.$queryRaw<DueMember[]>`
    SELECT member_id::text AS "memberId", member_id::text AS cursor
    FROM returns_due(${programId}::uuid, ${day}::date)
    WHERE member_id > ${after}::uuid ORDER BY member_id LIMIT ${limit}::int`,
  hasDays: (deps, { programId }) => isSet(deps, { id: programId, reengagementBonus: { gt: 0 } }),
  work: (deps, members) => pay(deps, 'REENGAGEMENT', members),
};

async function isSet({ db }: Deps, where: Prisma.ProgramWhereInput): Promise<boolean> {
  return (await db.program.count({ where })) === 1;
}

async function pay(
  deps: Deps,
  source: 'BIRTHDAY' | 'REENGAGEMENT',
  { programId, day, memberIds }: Members,
): Promise<number> {
  const [row] = await retrying(
    () => deps.db.$queryRaw<{ paid: number }[]>`
      SELECT pay_bonuses(${programId}::uuid, ${source}::points_source, ${day}::date,
        ${[...memberIds]}::uuid[]) AS paid`,
    ROW_GONE,
  );
  if (!row) throw new Error('pay_bonuses left a page unanswered');
  return row.paid;
}
