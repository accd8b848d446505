import type { Deps } from '../deps.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { type Connection, type NumberedPage, toConnection } from '../kernel/page.ts';
import type { Tier } from '../programs/index.ts';
import type { TierChange } from './types.ts';

type Ids = { programId: ProgramId; ids: readonly string[] };

/** The points that count for each member's tier today; one statement for any number of members. */
export async function earned12Months(deps: Deps, { programId, ids }: Ids): Promise<bigint[]> {
  const rows = await deps.db.$queryRaw<{ points: bigint }[]>`
    SELECT (
      SELECT coalesce(sum(q.points), 0)::bigint
      FROM qualifying_lots(${programId}::uuid, asked.id, c.today) q) AS points
    FROM unnest(${[...ids]}::uuid[]) WITH ORDINALITY AS asked(id, place), (
      SELECT day_of(${programId}::uuid, program_now(${programId}::uuid)) AS today) c
    ORDER BY asked.place`;
  return rows.map(({ points }) => points);
}

/** A page of one member's history, newest first. */
export type HistoryPage = NumberedPage & { memberId: string; first: number };

/** A change with both tiers as they were then. */
export type TierStep = Pick<TierChange, 'id' | 'reason' | 'at'> & { from: Tier; to: Tier };

type Row = Pick<TierChange, 'id' | 'reason' | 'at'> & { place: bigint; from: Was; to: Was };
type Was = Omit<Tier, 'programId' | 'qualifyPoints' | 'maintainPoints'> & {
  qualifyPoints: number;
  maintainPoints: number;
};

/** One statement for any number of members, whatever page is asked of each. */
export async function tierHistories(
  deps: Deps,
  { programId, pages }: { programId: ProgramId; pages: readonly HistoryPage[] },
): Promise<Connection<TierStep>[]> {
  const rows = await deps.db.$queryRaw<Row[]>`
    SELECT asked.place, c.* FROM unnest(
      ${pages.map((page) => page.memberId)}::uuid[], ${pages.map((page) => page.take)}::int[],
      ${pages.map((page) => page.afterNumber ?? null)}::bigint[])
      WITH ORDINALITY AS asked(member, take, after, place)
    CROSS JOIN LATERAL (
      SELECT t.id, t.reason, t.at, t.from_tier AS from, t.to_tier AS to FROM tier_changes t
      WHERE t.program_id = ${programId}::uuid AND t.member_id = asked.member
        AND (asked.after IS NULL OR t.id < asked.after)
      ORDER BY t.id DESC LIMIT asked.take) c
    ORDER BY asked.place, c.id DESC`;
  const tier = (was: Was): Tier => ({
    ...was,
    programId,
    qualifyPoints: BigInt(was.qualifyPoints),
    maintainPoints: BigInt(was.maintainPoints),
  });
  return pages.map((page, index) => {
    const found = rows.filter((row) => Number(row.place) === index + 1);
    const nodes = found.map(({ place: _, from, to, ...row }) => ({
      ...row,
      from: tier(from),
      to: tier(to),
    }));
    return toConnection(nodes, page);
  });
}
