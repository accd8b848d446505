import type { Deps } from '../deps.ts';
import { ROW_GONE, retrying } from '../kernel/db.ts';
import type { DueMember, MemberTask } from '../kernel/member-task.ts';

type Page = Parameters<MemberTask['due']>[1];

/**
 * The daily evaluation of tiers: graces, their warnings and their ends, and what a changed ladder
 * makes of each member.
 *
 * Locks: MEMBER of a page, in sorted order.
 * Refusals: none.
 * A retry finds nobody left for whom anything is due.
 * Events: tier.grace_started, tier.grace_warning, tier.grace_cleared, tier.downgraded,
 * tier.upgraded, points.awarded for bonuses.
 */
export const evaluateTiersTask: MemberTask = {
  task: 'EVALUATE_TIERS',
  due: async (deps, page) => {
    const place = readPlace(page.after);
    const stale = place.list === 'ladder' ? await ofOldLadder(deps, { page, place }) : [];
    const limit = page.limit - stale.length;
    if (limit === 0) return stale;
    const start = place.list === 'day' ? place : DAY_START;
    const due = await ofToday(deps, { page: { ...page, limit }, place: start });
    return [...stale, ...due];
  },
  work: async (deps, { programId, day, memberIds }) => {
    // A rank that was removed meanwhile is not there to move to: judged again, there is another.
    const [row] = await retrying(
      () => deps.db.$queryRaw<{ changed: number }[]>`
        SELECT evaluate_tiers(${programId}::uuid, ${day}::date, ${[...memberIds]}::uuid[])
          AS changed`,
      ROW_GONE,
    );
    if (!row) throw new Error('evaluate_tiers left a page unanswered');
    return row.changed;
  },
};

/** Two lists, one after the other; a cursor names the list, its key and the member's id. */
type Place = { list: 'ladder' | 'day'; key: string; id: string };

const NOBODY = '00000000-0000-0000-0000-000000000000';
const LADDER_START: Place = { list: 'ladder', key: '0', id: NOBODY };
const DAY_START: Place = { list: 'day', key: '-infinity', id: NOBODY };

function readPlace(cursor: string | undefined): Place {
  if (cursor === undefined) return LADDER_START;
  const [list, key = '', id = ''] = cursor.split(' ');
  return { list: list === 'day' ? 'day' : 'ladder', key, id };
}

type Asked = { page: Page; place: Place };

/** Members who were judged by an earlier ladder, and have a rank that may be judged by now. */
const ofOldLadder = (deps: Deps, { page, place }: Asked) => deps.db.$queryRaw<DueMember[]>`
  SELECT id::text AS "memberId", concat_ws(' ', 'ladder', ladder_version, id) AS cursor
  FROM members
  WHERE program_id = ${page.programId}::uuid
    AND ladder_version < (
      SELECT ladder_version FROM programs WHERE id = ${page.programId}::uuid)
    AND NOT moved_since(program_id, id, ${page.day}::date)
    AND (ladder_version, id) > (${place.key}::int, ${place.id}::uuid)
  ORDER BY ladder_version, id LIMIT ${page.limit}::int`;

/** Of the others those whose day has come. */
const ofToday = (deps: Deps, { page, place }: Asked) => deps.db.$queryRaw<DueMember[]>`
  SELECT id::text AS "memberId", concat_ws(' ', 'day', tier_due, id) AS cursor
  FROM members
  WHERE program_id = ${page.programId}::uuid AND tier_due <= ${page.day}::date
    AND ladder_version >= (
      SELECT ladder_version FROM programs WHERE id = ${page.programId}::uuid)
    AND (tier_due, id) > (${place.key}::date, ${place.id}::uuid)
  ORDER BY tier_due, id LIMIT ${page.limit}::int`;
