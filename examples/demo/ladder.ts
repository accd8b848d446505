/** How the customers climbed and fell: the ladder by month. */
import type pg from 'pg';
import { LADDER, type Plan } from './plan.ts';
import { bySql, type Where } from './sql.ts';

/** So many moves from one rank to another in a month. */
type Moves = { month: string; from: number; to: number; count: number };
/** What else happened in each month, by month. */
type Happened = { expired: Record<string, number>; warnings: Record<string, number> };

export type LadderMonth = {
  month: string;
  /** At the end of the month, from the lowest rank on. */
  members: readonly number[];
  upgrades: number;
  downgrades: number;
  warnings: number;
  /** Points. */
  expired: number;
};

export const readLadder = (plan: Plan, { databaseUrl, programId }: Where) =>
  bySql(databaseUrl, async (client) => {
    const { rows } = await client.query<Moves>(
      `SELECT to_char(day, 'YYYY-MM') AS month, from_rank AS "from", to_rank AS "to",
         count(*)::int AS count
       FROM tier_changes WHERE program_id = $1 GROUP BY 1, 2, 3`,
      [programId],
    );
    return ladderByMonth(plan, { moves: rows, ...(await readHappened(client, programId)) });
  });

async function readHappened(client: pg.Client, programId: string): Promise<Happened> {
  const { rows } = await client.query<Happened>(
    `WITH happened AS (
       SELECT kind::text AS what, at, -points AS number FROM ledger_entries
       WHERE program_id = $1 AND kind = 'EXPIRE'
       UNION ALL
       SELECT type, at, 1 FROM events WHERE program_id = $1 AND type = 'tier.grace_warning'
     ), by_month AS (
       SELECT what, to_char(at AT TIME ZONE p.time_zone, 'YYYY-MM') AS month,
         sum(number) AS number
       FROM happened, programs p WHERE p.id = $1 GROUP BY 1, 2
     )
     SELECT coalesce(json_object_agg(month, number) FILTER (WHERE what = 'EXPIRE'), '{}')
         AS expired,
       coalesce(json_object_agg(month, number) FILTER (WHERE what <> 'EXPIRE'), '{}')
         AS warnings
     FROM by_month`,
    [programId],
  );
  return rows[0] as Happened;
}

/** Everybody begins at the lowest rank. */
export function ladderByMonth(plan: Plan, of: Happened & { moves: Moves[] }): LadderMonth[] {
  const members = LADDER.map((_rung, index) => (index === 0 ? plan.customers.length : 0));
  const months = [...new Set(plan.days.map((day) => day.slice(0, 7)))];
  return months.map((month) => {
    let upgrades = 0;
    let downgrades = 0;
    for (const { from, to, count } of of.moves.filter((move) => move.month === month)) {
      members[from - 1] = (members[from - 1] ?? 0) - count;
      members[to - 1] = (members[to - 1] ?? 0) + count;
      if (to > from) upgrades += count;
      else downgrades += count;
    }
    const { [month]: warnings = 0 } = of.warnings;
    const { [month]: expired = 0 } = of.expired;
    return { month, members: [...members], upgrades, downgrades, warnings, expired };
  });
}

const WIDTH = 12;

/** With a line for all of it below. */
export function ladderTable(months: readonly LadderMonth[]): string[] {
  const counts = ['upgrades', 'downgrades', 'warnings', 'expired'] as const;
  const line = (name: string, cells: readonly (string | number)[]) =>
    `  ${name.padEnd(8)}${cells.map((cell) => text(cell).padStart(WIDTH)).join('')}`;
  const total = (name: (typeof counts)[number]) => months.reduce((sum, one) => sum + one[name], 0);
  return [
    'The ladder by month',
    line('', [...LADDER.map(({ name }) => name), ...counts]),
    ...months.map((one) => line(one.month, [...one.members, ...counts.map((name) => one[name])])),
    line('in all', [...LADDER.map(() => ''), ...counts.map(total)]),
  ];
}

const text = (cell: string | number): string => cell.toLocaleString('en-US');
