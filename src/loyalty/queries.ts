import type { Deps } from '../deps.ts';
import { errorCode, retrying } from '../kernel/db.ts';
import { badInput } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { inOrder } from '../kernel/in-order.ts';
import { parse, whole } from '../kernel/input.ts';
import {
  type Connection,
  type PageArgs,
  readNumberedPage,
  readPage,
  toConnection,
} from '../kernel/page.ts';
import type { ConsumptionAllocation } from './types.ts';
import {
  type LedgerBatch,
  type LedgerEntry,
  type MemberRef,
  OUT_OF_RANGE,
  PURCHASES,
  tooMany,
} from './types.ts';

type Ids = { programId: ProgramId; ids: readonly string[] };

export type PointsOf = { balance: bigint; pending: bigint };

/** What can be spent now, and what has not matured; one statement for any number of members. */
export async function pointsOfMembers(deps: Deps, { programId, ids }: Ids): Promise<PointsOf[]> {
  const rows = await deps.db.$queryRaw<(PointsOf & { id: string })[]>`
    SELECT l.member_id::text AS id,
      coalesce(sum(remaining) FILTER (WHERE matures_at <= c.now), 0)::bigint AS balance,
      coalesce(sum(remaining) FILTER (WHERE matures_at > c.now), 0)::bigint AS pending
    FROM ledger_batches l, (SELECT program_now(${programId}::uuid) AS now) c
    WHERE l.program_id = ${programId}::uuid AND l.member_id = ANY (${[...ids]}::uuid[])
      AND remaining > 0 AND (expires_at IS NULL OR expires_at > c.now)
    GROUP BY l.member_id`;
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => byId.get(id) ?? { balance: 0n, pending: 0n });
}

export type Quote = {
  base: bigint;
  multiplier: number;
  points: bigint;
  capRemaining: bigint | null;
  awarded: bigint;
};

/** What a purchase would earn now: the computation of the award itself. */
export async function quotePoints(
  deps: Deps,
  args: MemberRef & { source: string; amount: number },
): Promise<Quote | undefined> {
  if (!PURCHASES.some((source) => source === args.source))
    throw badInput('source', `one of ${PURCHASES.join(', ')}`);
  const amount = parse(whole(0, 1_000_000_000_000), args.amount, 'amount');
  const rows = await retrying(
    () => deps.db.$queryRaw<Quote[]>`
    SELECT q.base, q.multiplier, q.requested AS points, q.cap_remaining AS "capRemaining", q.awarded
    FROM programs p
    JOIN members m ON m.program_id = p.id AND m.id = ${args.memberId}::uuid
    CROSS JOIN LATERAL quote_award(p, m.id, ${amount}::bigint, program_now(p.id)) q
    WHERE p.id = ${args.programId}::uuid`,
  ).catch((error: unknown) => {
    throw errorCode(error) === OUT_OF_RANGE ? tooMany('amount') : error;
  });
  return rows[0];
}

/** Newest first. */
export async function listLots(
  deps: Deps,
  args: PageArgs & MemberRef,
): Promise<Connection<LedgerBatch>> {
  const { take, afterId } = readPage(args);
  const rows = await deps.db.ledgerBatch.findMany({
    where: {
      programId: args.programId,
      memberId: args.memberId,
      ...(afterId ? { id: { lt: afterId } } : {}),
    },
    orderBy: { id: 'desc' },
    take,
  });
  return toConnection(rows, args);
}

/** Newest first. */
export async function listEntries(
  deps: Deps,
  args: PageArgs & MemberRef,
): Promise<Connection<LedgerEntry>> {
  const { take, afterNumber } = readNumberedPage(args);
  const rows = await deps.db.ledgerEntry.findMany({
    where: {
      programId: args.programId,
      memberId: args.memberId,
      ...(afterNumber === undefined ? {} : { id: { lt: afterNumber } }),
    },
    orderBy: { id: 'desc' },
    take,
  });
  return toConnection(rows, args);
}

export async function lotsByIds(deps: Deps, of: Ids): Promise<(LedgerBatch | null)[]> {
  const rows = await deps.db.ledgerBatch.findMany({
    where: { programId: of.programId, id: { in: [...of.ids] } },
  });
  return inOrder(of.ids, rows, (row) => row.id);
}

/** The draws of each spend, in the order in which they were made. */
export async function drawsOfSpends(deps: Deps, of: Ids): Promise<ConsumptionAllocation[][]> {
  const rows = await deps.db.consumptionAllocation.findMany({
    where: { programId: of.programId, spendId: { in: [...of.ids] } },
    orderBy: { position: 'asc' },
  });
  return of.ids.map((id) => rows.filter((row) => row.spendId === id));
}

export type Liability = {
  asOf: Date;
  opening: bigint;
  awarded: bigint;
  spent: bigint;
  expired: bigint;
  reversed: bigint;
  refunded: bigint;
  closing: bigint;
  value: bigint;
  byExpiryMonth: { month: string | null; points: bigint }[];
};

type Sums = Omit<Liability, 'expired' | 'byExpiryMonth'>;
type Month = { month: string | null; points: string };

/**
 * The roll-forward between two instants; without them, from the beginning until now. One statement,
 * so that its parts are of one snapshot and tie out beside awards that commit meanwhile.
 */
export async function pointsLiability(
  deps: Deps,
  args: { programId: ProgramId; from?: Date | null | undefined; asOf?: Date | null | undefined },
): Promise<Liability> {
  const from = args.from ?? new Date(0);
  const [row] = await deps.db.$queryRaw<(Sums & { months: Month[] })[]>`
    SELECT c.now AS "asOf", sums.*, (
      SELECT coalesce(jsonb_agg(jsonb_build_object('month', month, 'points', points::text)
        ORDER BY month NULLS LAST), '[]')
      FROM (SELECT to_char(o.expires_at AT TIME ZONE p.time_zone, 'YYYY-MM') AS month,
          sum(o.points) AS points
        FROM points_outstanding(p.id, c.now) o GROUP BY 1 HAVING sum(o.points) <> 0) m) AS months
    FROM programs p
    CROSS JOIN LATERAL (
      SELECT coalesce(${args.asOf}::timestamptz, program_now(p.id)) AS now OFFSET 0) c
    CROSS JOIN LATERAL points_liability(p.id, ${from}::timestamptz, c.now) sums
    WHERE p.id = ${args.programId}::uuid`;
  if (!row) throw new Error('a program without a liability');
  const { months, ...sums } = row;
  if (from > sums.asOf) throw badInput('from', 'an instant not after asOf');
  const { opening, awarded, spent, reversed, refunded, closing } = sums;
  const expired = opening + awarded - spent - reversed + refunded - closing;
  const byExpiryMonth = months.map(({ month, points }) => ({ month, points: BigInt(points) }));
  return { ...sums, expired, byExpiryMonth };
}
