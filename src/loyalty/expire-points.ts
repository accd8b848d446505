import { retrying } from '../kernel/db.ts';
import type { MemberId } from '../kernel/ids.ts';
import type { MemberTask } from '../kernel/member-task.ts';

// Before every instant and every member.
const FIRST = '-infinity 00000000-0000-0000-0000-000000000000';

type Row = { member: MemberId; expires: Date };

/**
 * Writes off what has expired as of the start of the day. A member is due once for each instant at
 * which lots of theirs end; the first time settles all of them.
 *
 * Locks: MEMBER of a page, in sorted order; the lots.
 * Refusals: none.
 * A retry finds nothing left to write off.
 * Events: points.expired.
 */
export const expirePointsTask: MemberTask = {
  task: 'EXPIRE_POINTS',
  due: async (deps, { programId, day, after, limit }) => {
    const [expires, member] = (after ?? FIRST).split(' ');
    const rows = await deps.db.$queryRaw<Row[]>`
      SELECT DISTINCT expires_at AS expires, member_id AS member FROM ledger_batches
      WHERE program_id = ${programId}::uuid AND remaining > 0
        AND expires_at <= day_start(${programId}::uuid, ${day}::date)
        AND (expires_at, member_id) > (${expires}::timestamptz, ${member}::uuid)
      ORDER BY expires_at, member_id LIMIT ${limit}::int`;
    const page = new Map<MemberId, string>();
    for (const row of rows) page.set(row.member, `${row.expires.toISOString()} ${row.member}`);
    return [...page].map(([memberId, cursor]) => ({ memberId, cursor }));
  },
  work: async (deps, { programId, day, memberIds }) => {
    const ids = [...memberIds];
    const [row] = await retrying(
      () => deps.db.$queryRaw<{ changed: number }[]>`
        SELECT expire_points(${programId}::uuid, ${day}::date, ${ids}::uuid[]) AS changed`,
    );
    return row?.changed ?? 0;
  },
};
