import { expect, test } from 'vitest';
import {
  archivePool,
  type Claimed,
  pausePool,
  type Refused,
  resumePool,
  topUpPool,
} from '../../src/coupons/index.ts';
import type { MemberId, PoolId } from '../../src/kernel/ids.ts';
import { aPool, unique } from '../support/factories.ts';
import {
  aRace,
  claim,
  expectSound,
  manyMembers,
  newOrHeld,
  overlapping,
  tally,
} from '../support/scenes.ts';
import type { Session } from '../support/sessions.ts';
import { luck, rounds } from '../support/torture.ts';

const { on, programId, first, second } = await aRace();

const issued = (poolId: PoolId) =>
  on.left.db.code.count({ where: { programId, poolId, status: { not: 'AVAILABLE' } } });

async function claimants(count: number): Promise<MemberId[]> {
  return manyMembers(on.left, { programId, count });
}

/** All at once, in two processes, and without a row of their own to wait for: guests are cheap. */
function guestsClaim(poolId: PoolId, count: number): Promise<(Claimed | Refused)[]> {
  return Promise.all(
    Array.from({ length: count }, (_, i) =>
      claim(on.either(i), {
        programId,
        poolId,
        email: `${unique('guest')}@example.com`,
        actor: 'key:a',
      }),
    ),
  );
}

test.each([
  ['pause', pausePool],
  ['archive', archivePool],
] as const)('claim, %s, commit: it answers after the claim is settled', async (_, move) => {
  const { id: poolId } = await aPool(on.left, { programId, codes: 3 });
  const [memberId, other] = (await claimants(2)) as [MemberId, MemberId];
  await first.begin();
  await first.claim(programId, [{ poolId, memberId }]);
  let issuedWhenAnswered: number | undefined;
  const moved = move(on.left, { programId, poolId }).then(async () => {
    issuedWhenAnswered = await issued(poolId);
  });
  await first.isWaitedFor();
  expect(issuedWhenAnswered).toBeUndefined();
  // Nobody who comes now gets before it, or a rush of claims would starve it.
  const [late] = await second.claim(programId, [{ poolId, memberId: other }]);
  expect(late?.outcome).toBe('AGAIN');
  await first.commit();
  await moved;
  expect(issuedWhenAnswered).toBe(1);
  const [after] = await second.claim(programId, [{ poolId, memberId: other }]);
  expect(after?.outcome).toBe('POOL_NOT_ISSUING');
});

test('pause, claim, commit: a claim never goes by the status that was before', async () => {
  const { id: poolId } = await aPool(on.left, { programId, codes: 3 });
  const [memberId] = (await claimants(1)) as [MemberId];
  await first.begin();
  await first.query('SELECT lock_pool($1, $2)', [programId, poolId]);
  await first.query("UPDATE pools SET status = 'PAUSED' WHERE program_id = $1 AND id = $2", [
    programId,
    poolId,
  ]);
  await overlapping(first, () => second.claim(programId, [{ poolId, memberId }]));
  expect(await issued(poolId)).toBe(0);
});

test('pause, resume and pause again under a rush of claims: none is issued in between', async () => {
  for (let round = rounds(3, 20); round > 0; round--) {
    const { id: poolId } = await aPool(on.left, { programId, codes: 400 });
    const rush = guestsClaim(poolId, 300);
    await pausePool(on.right, { programId, poolId });
    const atPause = await issued(poolId);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await issued(poolId)).toBe(atPause);
    await resumePool(on.left, { programId, poolId });
    await pausePool(on.left, { programId, poolId });
    const atSecondPause = await issued(poolId);
    const counts = tally(await rush, newOrHeld);
    expect(counts.new ?? 0).toBe(atSecondPause);
    expect((counts.new ?? 0) + (counts.POOL_NOT_ISSUING ?? 0)).toBe(300);
    expect(await issued(poolId)).toBe(atSecondPause);
  }
  await expectSound(on.left, programId);
});

/** Three pools, each falling back to the next. */
async function aChain(sizes: [number, number, number]): Promise<PoolId[]> {
  const pools: PoolId[] = [];
  for (const codes of sizes.toReversed()) {
    const [fallbackPoolId] = pools;
    const input = fallbackPoolId ? ({ exhaustion: 'FALLBACK', fallbackPoolId } as const) : {};
    pools.unshift((await aPool(on.left, { programId, codes, input })).id);
  }
  return pools;
}

test('the last code of a pool is held: nobody goes on to its fallback before it is settled', async () => {
  const [asked, next] = (await aChain([1, 5, 1])) as [PoolId, PoolId, PoolId];
  const [memberId, other] = (await claimants(2)) as [MemberId, MemberId];
  await first.begin();
  await first.claim(programId, [{ poolId: asked, memberId }]);
  const [early] = await second.claim(programId, [{ poolId: asked, memberId: other }]);
  expect(early?.outcome).toBe('AGAIN');
  await first.commit();
  const [late] = await second.claim(programId, [{ poolId: asked, memberId: other }]);
  expect(late?.outcome).toBe('CLAIMED');
  expect([await issued(asked), await issued(next)]).toEqual([1, 1]);
});

/** Claims that are rolled back, again and again, until told to stop. */
function chaos(session: Session, of: { poolId: PoolId; members: MemberId[]; name: string }) {
  let going = true;
  const { below } = luck(of.name);
  const run = async () => {
    while (going) {
      await session.begin();
      const memberId = of.members[below(of.members.length)] as string;
      await session.claim(programId, [{ poolId: of.poolId, memberId }]);
      await session.rollback();
      // A code that is held without a pause would be lost to everybody.
      await new Promise((resolve) => setTimeout(resolve, below(5)));
    }
  };
  const done = run();
  return async () => {
    going = false;
    await done;
  };
}

test('a chain of pools under load, with claims rolled back: every code issued once', async () => {
  for (let round = rounds(2, 20); round > 0; round--) {
    const [asked, middle, last] = (await aChain([60, 40, 50])) as [PoolId, PoolId, PoolId];
    const members = await claimants(170);
    const strangers = await claimants(5);
    const stops = [first, second].map((session, i) =>
      chaos(session, { poolId: asked, members: strangers, name: `chaos ${round} ${i}` }),
    );
    const answers = await Promise.all(
      members.map((memberId, i) => {
        const poolId = i % 5 === 0 ? middle : asked;
        return claim(on.either(i), { programId, poolId, memberId, actor: 'key:a' });
      }),
    );
    for (const stop of stops) await stop();
    expect(tally(answers, newOrHeld)).toEqual({ new: 150, POOL_EXHAUSTED: 20 });
    const codes = answers.flatMap((answer) => (answer.ok ? [answer.code.id] : []));
    expect(new Set(codes).size).toBe(150);
    expect(await Promise.all([asked, middle, last].map(issued))).toEqual([60, 40, 50]);
  }
  await expectSound(on.left, programId);
});

const aMint = (maxCodes: number) =>
  aPool(on.left, { programId, codes: 0, input: { exhaustion: 'TOP_UP', maxCodes } });
const batchesOf = async (poolId: PoolId) => {
  const batches = await on.left.db.codeBatch.findMany({
    where: { programId, poolId },
    orderBy: { id: 'asc' },
  });
  return batches.map(({ count }) => count);
};

test('top up, top up, commit: the second mints nothing, and at once', async () => {
  const { id: poolId } = await aMint(2_000);
  await first.begin();
  await first.query('SELECT try_lock_top_up($1, $2)', [programId, poolId]);
  expect(await topUpPool(on.left, { programId, poolId })).toBe(0);
  await first.commit();
  const minted = await Promise.all(
    [on.left, on.right].map((d) => topUpPool(d, { programId, poolId })),
  );
  expect(minted.toSorted()).toEqual([0, 500]);
});

test('a rush on a pool that tops itself up, in two processes: all served up to its limit', async () => {
  for (let round = rounds(1, 8); round > 0; round--) {
    const { id: poolId } = await aMint(1_200);
    const answers = await guestsClaim(poolId, 1_300);
    expect(tally(answers, newOrHeld)).toEqual({ new: 1_200, POOL_EXHAUSTED: 100 });
    expect(await batchesOf(poolId)).toEqual([500, 500, 200]);
  }
  await expectSound(on.left, programId);
});
