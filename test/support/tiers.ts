/** A program whose ladder can be climbed, and the days of its members on it. */
import type { Deps } from '../../src/deps.ts';
import type { MemberId } from '../../src/kernel/ids.ts';
import { earned12Months, evaluateTiersTask } from '../../src/loyalty/index.ts';
import { setTiers, type TierInput } from '../../src/programs/index.ts';
import { openLedger } from './ledger.ts';
import { localDays } from './local-days.ts';
import { runTask } from './member-tasks.ts';

export type Rungs = readonly (readonly [qualify: number, maintain: number])[];

/** Everything earns at 1x, so that a cent is a point on every rank. */
export const ladder = (rungs: Rungs): TierInput[] =>
  rungs.map(([qualifyPoints, maintainPoints], index) => ({
    name: `Rank ${index + 1}`,
    qualifyPoints,
    maintainPoints,
    multiplier: 10_000,
  }));

export const RUNGS: Rungs = [
  [0, 0],
  [100, 80],
  [500, 400],
  [1_000, 800],
];

type Of = NonNullable<Parameters<typeof openLedger>[1]> & { day?: string };

export type Tiers = Awaited<ReturnType<typeof openTiers>>;

/** The clock stands at eight in the morning of `day`, local time or nearly so. */
export async function openTiers(deps: Deps, { day = '2021-01-01', ...of }: Of = {}) {
  const timeZone = of.timeZone ?? 'UTC';
  const days = localDays(timeZone);
  const clock = new Date(days.startOf(day) + 8 * 3_600_000);
  const own = await openLedger(deps, { tiers: ladder(RUNGS), clock, ...of });
  const { programId } = own;
  const startOf = (date: string) => new Date(days.startOf(date));
  const evaluate = (date: string) => runTask(deps, evaluateTiersTask, { programId, day: date });
  /** Not before the day after the clock's. */
  const nextDue = async (): Promise<string | null> => {
    const [row] = await deps.db.$queryRaw<{ day: string | null }[]>`
      SELECT greatest(day_of(p.id, p.clock) + 1, CASE
        WHEN min(m.ladder_version) < p.ladder_version THEN day_of(p.id, p.clock)
        ELSE min(m.tier_due) END)::text AS day
      FROM programs p JOIN members m ON m.program_id = p.id
      WHERE p.id = ${programId}::uuid GROUP BY p.id
      HAVING min(m.tier_due) IS NOT NULL OR min(m.ladder_version) < p.ladder_version`;
    return row?.day ?? null;
  };
  const member = (id: MemberId) =>
    deps.db.member.findUniqueOrThrow({
      where: { programId_id: { programId, id } },
      include: { tier: true },
    });
  return {
    ...own,
    days,
    startOf,
    evaluate,
    setLadder: (rungs: Rungs) => setTiers(deps, { programId, tiers: ladder(rungs) }),
    /** The start of a day and its evaluation, without the days between. */
    dawn: async (date: string) => {
      await own.tick(startOf(date));
      return evaluate(date);
    },
    /**
     * The days from the clock's on, each on which somebody is due with its evaluation; then it is
     * eight in the morning. All the work of each day, as `advance` does it, would take minutes.
     */
    live: async (until: string) => {
      for (let day = await nextDue(); day && day <= until; day = await nextDue()) {
        await own.tick(startOf(day));
        await evaluate(day);
      }
      await own.tick(new Date(days.startOf(until) + 8 * 3_600_000));
    },
    row: member,
    rank: async (id: MemberId) => (await member(id)).tier.rank,
    /** The local day on which the grace is over; null without one. */
    grace: async (id: MemberId) => {
      const { graceEndsAt } = await member(id);
      return graceEndsAt && days.of(graceEndsAt.getTime());
    },
    earned: async (id: MemberId) => {
      const [points] = await earned12Months(deps, { programId, ids: [id] });
      return Number(points);
    },
    /** Oldest first: reason, ranks and day. */
    history: async (id: MemberId) => {
      const changes = await deps.db.tierChange.findMany({
        where: { programId, memberId: id },
        orderBy: { id: 'asc' },
      });
      return changes.map(
        ({ reason, fromRank, toRank, day: on }) =>
          `${reason} ${fromRank}-${toRank} ${on.toISOString().slice(0, 10)}`,
      );
    },
    /** What was told of the member's tier, and when, oldest first. */
    told: async (id: MemberId) => {
      const events = await deps.db.event.findMany({
        where: { programId, memberId: id, type: { startsWith: 'tier.' } },
        orderBy: { id: 'asc' },
      });
      return events.map(({ type, data, at }) => {
        const { days: left } = data as { days?: number };
        const what = type.replace('tier.', '') + (left === undefined ? '' : ` ${left}`);
        return `${days.of(at.getTime())} ${what}`;
      });
    },
    /** What was told of points and tiers, oldest first. */
    events: async () => {
      const events = await deps.db.event.findMany({
        where: { programId, type: { not: { startsWith: 'member.' } } },
        orderBy: { id: 'asc' },
      });
      return events.map(({ type }) => type);
    },
    bonuses: async (id: MemberId) => {
      const lots = await own.lots();
      return lots
        .filter((lot) => lot.memberId === id && lot.source === 'REUPGRADE')
        .map((lot) => Number(lot.points));
    },
  };
}
