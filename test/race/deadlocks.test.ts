import { expect, test } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import type { PoolId } from '../../src/kernel/ids.ts';
import { upsertMember } from '../../src/members/index.ts';
import { testDeps } from '../support/database.ts';
import { aPool, aProgram, unique } from '../support/factories.ts';
import { deadlocks, expectSound, heldCodes, manyMembers, passing } from '../support/scenes.ts';
import { type ClaimBy, type RedeemBy, type Session, sessions } from '../support/sessions.ts';
import { luck, rounds } from '../support/torture.ts';

/** A backend counts its deadlocks for all to see when it ends: so it is ended before they look. */
async function withSessions(databaseUrl: string, work: (all: Session[]) => Promise<unknown>) {
  const all = await sessions(databaseUrl, 12);
  try {
    await work(all);
  } finally {
    for (const session of all) await session.close();
  }
}

/** The same batch, forwards and backwards and shuffled, until no item is told AGAIN. */
async function insist<T>(
  batch: T[],
  of: { ask: (items: T[]) => Promise<{ outcome: string }[]>; name: string },
): Promise<void> {
  const { shuffled } = luck(of.name);
  let left = shuffled(batch);
  while (left.length > 0) {
    const answers = await of.ask(left);
    left = shuffled(left.filter((_, i) => answers[i]?.outcome === 'AGAIN'));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

test('claims of the same people from the same pools in opposite orders: no deadlock', async () => {
  const deps = await testDeps();
  const { programId } = await aProgram(deps);
  const pools: PoolId[] = [];
  for (let i = 0; i < 3; i++) pools.push((await aPool(deps, { programId, codes: 400 })).id);
  await withSessions(deps.config.databaseUrl, async (all) => {
    for (let round = rounds(3, 20); round > 0; round--) {
      const members = await manyMembers(deps, { programId, count: 40 });
      const batch: ClaimBy[] = members.map((memberId, i) => ({
        poolId: pools[i % 3] as PoolId,
        memberId,
      }));
      await Promise.all(
        all.map((session, i) =>
          insist(batch, { ask: (items) => session.claim(programId, items), name: `${round} ${i}` }),
        ),
      );
      if (round % 25 === 0)
        for (const [i] of pools.entries())
          pools[i] = (await aPool(deps, { programId, codes: 400 })).id;
    }
  });
  await expectSound(deps, programId);
  expect(await deadlocks(deps)).toBe(0);
});

test('redemptions of the same codes and orders in opposite orders: no deadlock', async () => {
  const deps = await testDeps();
  const { programId } = await aProgram(deps);
  await withSessions(deps.config.databaseUrl, async (all) => {
    for (let round = rounds(3, 20); round > 0; round--) {
      const codes = await heldCodes(deps, { programId, count: 40 });
      const places = codes.map(() => unique('order'));
      await Promise.all(
        all.map((session, i) => {
          // Each session pairs codes and orders in its own way, so they want each other's both.
          const orders = luck(`orders ${round} ${i}`).shuffled(places);
          const batch: RedeemBy[] = codes.map(({ hash }, j) => ({
            hash,
            orderId: orders[j] as string,
          }));
          return insist(batch, {
            ask: (items) => session.redeem(programId, items),
            name: `${round} ${i}`,
          });
        }),
      );
    }
  });
  await expectSound(deps, programId);
  expect(await deadlocks(deps)).toBe(0);
});

test('two lock the same people in opposite orders, and line up behind a third: no deadlock', async () => {
  const deps = await testDeps();
  const { programId } = await aProgram(deps);
  const LOCK = 'SELECT lock_identities($1, $2)';
  await withSessions(deps.config.databaseUrl, async (all) => {
    const [holder, one, other] = all as [Session, Session, Session];
    const keys = await holder.query<{ key: string }>(
      "SELECT key FROM unnest(ARRAY['email:a', 'email:b']) key ORDER BY lock_key($1, 2, key)",
      [programId],
    );
    const [low, high] = keys.map(({ key }) => key);
    await holder.begin();
    await holder.query(LOCK, [programId, [low]]);
    const first = one.query(LOCK, [programId, [low, high]]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const second = other.query(LOCK, [programId, [high, low]]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await holder.commit();
    const settled = await Promise.allSettled([first, second]);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
  });
});

test('members exchange addresses in opposite orders while they claim: no deadlock', async () => {
  const deps = await testDeps();
  const { programId } = await aProgram(deps);
  const { id: poolId } = await aPool(deps, { programId, codes: 200 });
  const people = Array.from({ length: 6 }, () => unique('swap'));
  const addresses = people.map((person) => `${person}@example.com`);
  const exchange = async (either: (n: number) => Deps, all: Session[]) => {
    for (let round = rounds(10, 100); round > 0; round--) {
      const given = luck(`swap ${round}`).shuffled(addresses);
      const upserts = people.map((externalId, i) =>
        upsertMember(either(i), { programId, input: { externalId, email: given[i] as string } }),
      );
      const claims = all.slice(0, 4).map((session) =>
        session.claim(
          programId,
          given.map((email) => ({ poolId, email })),
        ),
      );
      await Promise.all([...upserts, ...claims]);
    }
  };
  await withSessions(deps.config.databaseUrl, (all) =>
    passing(deps, (either) => exchange(either, all)),
  );
  expect(await deadlocks(deps)).toBe(0);
});
