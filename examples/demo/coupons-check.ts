/** What must have become of the codes, worked out from the file alone, and whether it did. */
import type pg from 'pg';
import { type Purchase, sum } from './cdnow.ts';
import { differences, firstOf } from './differences.ts';
import type { PoolStats } from './operations.ts';
import type { Plan } from './plan.ts';
import type { Played } from './scenario.ts';
import { bySql, type Where } from './sql.ts';

export type Totals = { orders: number; amount: number; discount: number };

export type Expected = {
  orders: readonly (Purchase & { discount: number })[];
  totals: Totals;
  stats: PoolStats;
  members: number;
};

/** Ten per cent of each order, rounded down to the cent, in whole numbers. */
export const tenthOf = (cents: number): number => (cents - (cents % 10)) / 10;

export function expectedOf(plan: Plan): Expected {
  const orders = plan.orders.map((order) => ({ ...order, discount: tenthOf(order.cents) }));
  const claimed = plan.customers.length;
  return {
    orders,
    totals: {
      orders: orders.length,
      amount: sum(orders.map(({ cents }) => cents)),
      discount: sum(orders.map(({ discount }) => discount)),
    },
    stats: {
      generated: plan.codes,
      available: plan.codes - claimed,
      allocated: claimed - orders.length,
      redeemed: orders.length,
      revoked: 0,
    },
    members: claimed,
  };
}

/** One sentence for each difference between the file and what the API answered. */
export function checkAnswers(expected: Expected, played: Played): string[] {
  const totals: Totals = {
    orders: played.redemptions.length,
    amount: sum(played.redemptions.map(({ orderAmount }) => orderAmount)),
    discount: sum(played.redemptions.map(({ discountAmount }) => discountAmount)),
  };
  return [
    ...differences('API', { expected: expected.totals, found: totals }),
    ...differences('API', { expected: expected.stats, found: played.stats }),
  ];
}

/** The same of the database, which is asked without the engine, order by order. */
export const checkDatabase = (expected: Expected, { databaseUrl, programId }: Where) =>
  bySql(databaseUrl, async (client) => {
    const { totals, stats, orders } = expected;
    const census = { ...stats, members: expected.members };
    return [
      ...differences('SQL', { expected: totals, found: await readTotals(client, programId) }),
      ...differences('SQL', { expected: census, found: await readCensus(client, programId) }),
      ...(await differentOrders(client, { programId, orders })),
    ];
  });

// The driver answers bigint as text.
const whole = (row: Record<string, string>): Record<string, number> =>
  Object.fromEntries(Object.entries(row).map(([name, text]) => [name, Number(text)]));

async function readTotals(client: pg.Client, programId: string): Promise<Record<string, number>> {
  const { rows } = await client.query(
    `SELECT count(*) AS orders,
       coalesce(sum(order_amount), 0) AS amount,
       coalesce(sum(discount_amount), 0) AS discount
     FROM redemptions WHERE program_id = $1 AND voided_at IS NULL`,
    [programId],
  );
  return whole(rows[0]);
}

async function readCensus(client: pg.Client, programId: string): Promise<Record<string, number>> {
  const { rows } = await client.query(
    `SELECT count(*) AS generated,
       count(*) FILTER (WHERE status = 'AVAILABLE') AS available,
       count(*) FILTER (WHERE status = 'ALLOCATED') AS allocated,
       count(*) FILTER (WHERE status = 'REDEEMED') AS redeemed,
       count(*) FILTER (WHERE status = 'REVOKED') AS revoked,
       (SELECT count(*) FROM members WHERE program_id = $1) AS members
     FROM codes WHERE program_id = $1`,
    [programId],
  );
  return whole(rows[0]);
}

type Orders = { programId: string; orders: Expected['orders'] };

/** An order differs if either side lacks it, or in its holder, its amounts, its day or its hour. */
async function differentOrders(client: pg.Client, { programId, orders }: Orders) {
  const { rows } = await client.query<{ order_id: string }>(
    `WITH expected AS (
       SELECT * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::date[])
         AS e (order_id, customer, amount, discount, day)
     ), found AS (
       SELECT r.order_id, m.external_id AS customer, r.order_amount AS amount,
         r.discount_amount AS discount, r.redeemed_at AT TIME ZONE p.time_zone AS local_time
       FROM redemptions r
       JOIN programs p ON p.id = r.program_id
       JOIN codes c ON c.program_id = r.program_id AND c.id = r.code_id
       LEFT JOIN members m ON m.program_id = c.program_id AND m.id = c.member_id
       WHERE r.program_id = $1 AND r.voided_at IS NULL
     )
     SELECT order_id FROM expected e FULL JOIN found f USING (order_id)
     WHERE (e.customer, e.amount, e.discount, e.day + time '12:00')
       IS DISTINCT FROM (f.customer, f.amount, f.discount, f.local_time)
     ORDER BY order_id`,
    [
      programId,
      orders.map(({ orderId }) => orderId),
      orders.map(({ customer }) => customer),
      orders.map(({ cents }) => cents),
      orders.map(({ discount }) => discount),
      orders.map(({ date }) => date),
    ],
  );
  return firstOf(
    'orders that differ by SQL',
    rows.map((row) => row.order_id),
  );
}
