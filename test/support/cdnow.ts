/**
 * The shop of examples/cdnow as a program on the last day of its record: members on their tiers,
 * every purchase in the ledger, and pools whose codes went to real orders. In bulk, past the
 * triggers, because it is history and not behaviour that is wanted here.
 */
import pg from 'pg';
import { readPurchases } from '../../examples/demo/cdnow.ts';
import type { Deps } from '../../src/deps.ts';
import type { ProgramId } from '../../src/kernel/ids.ts';
import { aProgram } from './factories.ts';

const TODAY = '2022-06-30';

/** Every n-th customer only; 1 is the whole record. */
export async function loadCdnow(deps: Deps, of: { everyNth: number }): Promise<ProgramId> {
  const { programId } = await aProgram(deps, {
    name: 'CDNOW',
    timeZone: 'America/New_York',
    clock: new Date(`${TODAY}T12:00:00-04:00`),
  });
  const all = await readPurchases();
  const purchases = all.filter(({ customer }) => Number(customer) % of.everyNth === 0);
  const client = new pg.Client({ connectionString: deps.config.databaseUrl });
  await client.connect();
  try {
    await client.query("SET session_replication_role = replica; SET TIME ZONE 'America/New_York'");
    await client.query(
      `CREATE TEMP TABLE bought AS
       SELECT *, day + time '12:00' AS at, ${id("'1'", 'customer')} AS member_id,
         row_number() OVER (PARTITION BY customer ORDER BY day, order_id) AS place
       FROM unnest($1::text[], $2::text[], $3::date[], $4::bigint[])
         AS b (order_id, customer, day, cents)`,
      [
        purchases.map(({ orderId }) => orderId),
        purchases.map(({ customer }) => customer),
        purchases.map(({ date }) => date),
        purchases.map(({ cents }) => cents),
      ],
    );
    for (const statement of [MEMBERS, LOTS, TIERS]) await client.query(statement(programId));
    for (const pool of POOLS) await client.query(poolOf(programId, pool));
    await client.query('ANALYZE');
  } finally {
    await client.end();
  }
  return programId;
}

/** An id that says what it is of, and is the same in every run. */
const id = (kind: string, text: string) =>
  `('00000000-0000-7' || lpad(${kind}, 3, '0') || '-8000-' || lpad(${text}, 12, '0'))::uuid`;

const MEMBERS = (programId: string) => `
  INSERT INTO members (program_id, id, external_id, email, email_verified, tier_id, created_at)
  SELECT '${programId}', member_id, 'cdnow-' || customer, customer || '@customers.example', true,
    (SELECT id FROM tiers WHERE program_id = '${programId}' AND rank = 1), min(at)
  FROM bought GROUP BY member_id, customer`;

/** A point for each dollar. */
const LOTS = (programId: string) => `
  INSERT INTO ledger_batches (program_id, id, member_id, source, order_id, generation, amount,
    requested, points, remaining, zero_reason, day, earned_at, matures_at, created_at)
  SELECT '${programId}', ${id("'2'", 'row_number() OVER (ORDER BY order_id)::text')}, member_id,
    'SHOPIFY', order_id, 1, cents, cents / 100, cents / 100, cents / 100,
    CASE WHEN cents < 100 THEN 'ZERO_RATE'::zero_reason END, day, at, at, at
  FROM bought`;

const TIERS = (programId: string) => `
  UPDATE members m SET tier_id = t.id
  FROM (SELECT member_id, sum(points) AS earned FROM ledger_batches
    WHERE program_id = '${programId}' AND day > date '${TODAY}' - interval '12 months'
    GROUP BY member_id) l
  CROSS JOIN LATERAL (SELECT id FROM tiers
    WHERE program_id = '${programId}' AND qualify_points <= l.earned
    ORDER BY rank DESC LIMIT 1) t
  WHERE m.program_id = '${programId}' AND m.id = l.member_id`;

type HistoricPool = {
  number: number;
  name: string;
  made: string;
  offer: string;
  /** Of a purchase: the discount that its code gave, in cents. */
  discount: string;
  /** Which purchases came with a code; the others' customers hold one that they have not used. */
  redeemed: string;
  holders: string;
};

/** One of each kind: everybody's first order, long ago; this month; the month before; a draft. */
const POOLS: HistoricPool[] = [
  {
    number: 1,
    name: '10 % off the first order',
    made: '2021-01-01',
    offer: "'ACTIVE', 'PERCENT', 1000, 500",
    discount: 'cents / 10',
    redeemed: 'place = 1 AND cents >= 500',
    holders: 'true',
  },
  {
    number: 2,
    name: '5.00 off the third order',
    made: '2021-02-01',
    offer: "'ACTIVE', 'AMOUNT', 500, 2000",
    discount: '500',
    redeemed: 'place = 3 AND cents >= 2000',
    holders: 'place >= 2',
  },
  {
    number: 3,
    name: '15 % in early summer',
    made: '2022-05-01',
    offer: "'ACTIVE', 'PERCENT', 1500, 0",
    discount: 'cents * 15 / 100',
    redeemed: "place > 3 AND day >= '2022-05-15'",
    holders: "day >= '2022-01-01'",
  },
  {
    number: 4,
    name: 'A gift in spring',
    made: '2022-03-01',
    offer: "'PAUSED', 'GIFT', 0, 3000",
    discount: '0',
    redeemed: "place = 2 AND cents >= 3000 AND day BETWEEN '2022-03-01' AND '2022-05-20'",
    holders: "day >= '2022-03-01'",
  },
  {
    number: 5,
    name: '20 % for autumn',
    made: '2022-06-29',
    offer: "'DRAFT', 'PERCENT', 2000, 0",
    discount: '0',
    redeemed: 'false',
    holders: 'false',
  },
];

/** A pool, its codes (one for each holder, 100 that nobody has), and what they were used for. */
function poolOf(programId: string, pool: HistoricPool): string {
  const poolId = id(`'3${pool.number}'`, "'0'");
  return `
    INSERT INTO pools (program_id, id, name, status, discount_kind, discount_value,
      min_order_amount, prefix, per_member_limit, exhaustion, stackable, created_at)
    VALUES ('${programId}', ${poolId}, '${pool.name}', ${pool.offer}, 'OLD-', 1, 'REFUSE',
      true, '${pool.made}');
    INSERT INTO code_batches (program_id, id, pool_id, count, created_at)
    VALUES ('${programId}', ${poolId}, ${poolId}, 5000, '${pool.made}');
    CREATE TEMP TABLE used AS
      SELECT DISTINCT ON (customer) customer, order_id, cents, at FROM bought
      WHERE ${pool.redeemed} ORDER BY customer, order_id;
    INSERT INTO codes (program_id, id, pool_id, batch_id, ciphertext, key_id, lookup_hash,
      lookup_key_id, masked, status, claim_key, member_id, owner_match, allocated_at, redeemed_at)
    SELECT '${programId}', ${id(`'4${pool.number}'`, 'customer')}, ${poolId}, ${poolId}, '\\x00',
      'old', sha256(convert_to('${pool.number}' || customer, 'UTF8')), 'old', 'OLD-••••00',
      CASE WHEN h.free THEN 'AVAILABLE' WHEN u.at IS NULL THEN 'ALLOCATED' ELSE 'REDEEMED'
        END::code_status,
      CASE WHEN NOT h.free THEN '' END, CASE WHEN NOT h.free THEN ${id("'1'", 'customer')} END,
      CASE WHEN NOT h.free THEN 1 END, CASE WHEN NOT h.free THEN timestamptz '${pool.made}' END,
      u.at
    FROM (
      SELECT customer, false AS free FROM bought WHERE (${pool.holders}) OR (${pool.redeemed})
      UNION SELECT (900000 + n)::text, true FROM generate_series(1, 100) n) h
    LEFT JOIN used u USING (customer);
    INSERT INTO redemptions (program_id, id, code_id, order_id, order_amount, discount_amount,
      stackable, redeemed_at)
    SELECT '${programId}', ${id(`'5${pool.number}'`, 'customer')},
      ${id(`'4${pool.number}'`, 'customer')}, order_id, cents, ${pool.discount}, true, at FROM used;
    DROP TABLE used`;
}
