/** Members, pools and codes by the hundred thousand. */
import {
  activatePool,
  createPool,
  generateCodes,
  pausePool,
  resumePool,
} from '../src/coupons/index.ts';
import type { PoolId } from '../src/kernel/ids.ts';
import { memberId } from './load/job.ts';
import type { World } from './world.ts';

const BATCH = 5_000;
const CHUNK = 100_000;
/** Batches that are made side by side: one is sealed while the other is written. */
const MAKERS = 2;

const tenPercentOff = (name: string) => ({
  name,
  discountKind: 'PERCENT' as const,
  discountValue: 1_000,
  minOrderAmount: 0,
  perMemberLimit: 1,
  exhaustion: 'REFUSE' as const,
  stackable: false,
});

export async function draftPool(world: World, name: string): Promise<PoolId> {
  const { deps, programId } = world;
  const pool = await createPool(deps, { programId, input: tenPercentOff(name) });
  return pool.id as PoolId;
}

export const activate = ({ deps, programId }: World, poolId: PoolId) =>
  activatePool(deps, { programId, poolId });

type Fill = { poolId: PoolId; count: number };

/** Codes of the engine's own making, sealed and indexed: the API can give them out. */
export async function generate(world: World, { poolId, count }: Fill): Promise<void> {
  const { deps, programId } = world;
  const bar = world.progress(`codes for ${poolId.slice(-4)}`, count);
  const batches = Array.from({ length: Math.ceil(count / BATCH) }, (_, i) =>
    Math.min(BATCH, count - i * BATCH),
  );
  const make = async () => {
    for (let size = batches.pop(); size !== undefined; size = batches.pop()) {
      await generateCodes(deps, { programId, poolId, count: size });
      bar.add(size);
    }
  };
  await Promise.all(Array.from({ length: MAKERS }, make));
  bar.end();
}

/**
 * Puts back what was claimed of an active pool, the way a merchant does: pause, generate, resume.
 */
export async function refill(world: World, { poolId, count }: Fill): Promise<void> {
  const { deps, programId } = world;
  await pausePool(deps, { programId, poolId });
  for (let left = count; left > 0; left -= BATCH)
    await generateCodes(deps, { programId, poolId, count: Math.min(BATCH, left) });
  await resumePool(deps, { programId, poolId });
}

/**
 * Rows like those of generated codes, in size and in order, made by the database itself: their text
 * is nobody's. They are numbered from `from` on: the look-up hash is that of the space and the
 * number.
 */
export async function fill(
  world: World,
  { poolId, count, space, from = 0 }: Fill & { space: string; from?: number },
): Promise<void> {
  const bar = world.progress(`rows for ${poolId.slice(-4)}`, count);
  for (let done = 0; done < count; done += CHUNK) {
    const size = Math.min(CHUNK, count - done);
    await fillChunk(world, { poolId, count: size, space, from: from + done });
    bar.add(size);
  }
  bar.end();
}

async function fillChunk(
  { sql, programId }: World,
  { poolId, count, space, from }: Fill & { space: string; from: number },
): Promise<void> {
  await sql.query(
    `WITH batches AS (
       INSERT INTO code_batches (program_id, id, pool_id, count, created_at)
       SELECT $1, uuidv7(), $2, least(${BATCH}, $4 - n), now()
       FROM generate_series(0, $4::int - 1, ${BATCH}) n
       RETURNING id),
     numbered AS (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM batches)
     INSERT INTO codes (program_id, id, pool_id, batch_id, ciphertext, key_id, lookup_hash,
       lookup_key_id, masked, status)
     SELECT $1, uuidv7(), $2, b.id, decode(rpad('', 102, md5(n::text)), 'hex'), 'k1',
       sha256(convert_to($3 || ($5::bigint + n), 'UTF8')), 'k1', 'PCT-••••2A', 'AVAILABLE'
     FROM generate_series(0, $4::int - 1) n JOIN numbered b ON b.place = n / ${BATCH}`,
    [programId, poolId, space, count, from],
  );
}

/** Where the members of each use begin: the two sides must not meet. */
export const SPACES = {
  ours: 0,
  bare: 2 ** 40,
  drained: 2 ** 41,
  taps: 2 ** 42,
  memory: 2 ** 43,
  flat: 2 ** 44,
  awards: 2 ** 45,
  bareAwards: 2 ** 46,
  spends: 2 ** 47,
  bareSpends: 2 ** 47 + 2 ** 40,
  spenders: 2 ** 47 + 2 ** 41,
  shops: 2 ** 47 + 2 ** 42,
  days: 2 ** 47 + 2 ** 43,
  swept: 2 ** 47 + 2 ** 44,
  evaluated: 2 ** 47 + 2 ** 45,
};
const known = new Map<string, number>();

/** Makes sure that the first `count` members of a space exist. */
export async function haveMembers(
  { sql, programId }: Pick<World, 'sql' | 'programId'>,
  of: { first: number; count: number },
) {
  const space = `${programId}/${of.first}`;
  for (let done = known.get(space) ?? 0; done < of.count; done += CHUNK)
    await sql.query(
      `INSERT INTO members
         (program_id, id, external_id, email, email_verified, tier_id, created_at)
       SELECT $1, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'member-' || n,
         'member-' || n || '@example.com', true,
         (SELECT id FROM tiers WHERE program_id = $1 AND rank = 1), program_now($1)
       FROM generate_series($2::bigint, $3::bigint) n`,
      [programId, of.first + done, of.first + Math.min(of.count, done + CHUNK) - 1],
    );
  known.set(space, Math.max(of.count, known.get(space) ?? 0));
}

/** Claims so many codes of a pool at once, for members who take no other part. */
export async function drain(world: World, { poolId, count }: Fill): Promise<void> {
  const { sql, programId } = world;
  const first = SPACES.drained;
  await haveMembers(world, { first, count: drainedSoFar(poolId) + count });
  for (let done = 0; done < count; done += CHUNK) {
    const size = Math.min(CHUNK, count - done);
    await sql.query(
      `WITH taken AS (
         SELECT id, $3::bigint + row_number() OVER (ORDER BY id) - 1 AS n FROM (
           SELECT id FROM codes
           WHERE program_id = $1 AND pool_id = $2 AND status = 'AVAILABLE' ORDER BY id LIMIT $4) q),
       bound AS (
         UPDATE codes c SET status = 'ALLOCATED', claim_key = '', owner_match = 1,
           allocated_at = now(), revealed_at = now(),
           member_id = ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid
         FROM taken WHERE c.program_id = $1 AND c.id = taken.id
         RETURNING c.id, c.member_id),
       claimed AS (
         INSERT INTO claims (program_id, pool_id, claimant, slot, code_id)
         SELECT $1, $2, 'member:' || member_id, 1, id FROM bound)
       INSERT INTO code_reveals (program_id, code_id, kind, actor, at)
       SELECT $1, id, 'CLAIM', 'key:bench', now() FROM bound`,
      [programId, poolId, first + drainedSoFar(poolId), size],
    );
    drained.set(poolId, drainedSoFar(poolId) + size);
  }
}

const drained = new Map<string, number>();
const drainedSoFar = (poolId: string) => drained.get(poolId) ?? 0;

/** What autovacuum would do soon; now, so that it does not fall into one side's round. */
export async function tidy({ sql }: World): Promise<void> {
  await sql.query('VACUUM (ANALYZE, INDEX_CLEANUP ON) codes, claims, code_reveals, redemptions');
}

export async function tidyLedger({ sql }: World): Promise<void> {
  await sql.query(`VACUUM (ANALYZE, INDEX_CLEANUP ON) members, ledger_batches, spends,
    consumption_allocations, ledger_entries, events`);
}

/** After the seed: everything is in statistics and visibility maps, and on disk. */
export async function settle({ sql }: World): Promise<void> {
  await sql.query('VACUUM ANALYZE');
  await sql.query('CHECKPOINT');
}

/** The pool of our side, and that of pgbench, of the same size: they never drain each other. */
export function hotPool(world: World, side: 'ours' | 'bare'): Promise<PoolId> {
  const known = world.pools.get(side);
  if (known) return known;
  const made = (async () => {
    const poolId = await draftPool(world, `Hot ${side}`);
    const count = world.options.hotCodes;
    if (side === 'ours') await generate(world, { poolId, count });
    else await fill(world, { poolId, count, space: 'hot-' });
    await activate(world, poolId);
    return poolId;
  })();
  world.pools.set(side, made);
  return made;
}

export { memberId };
