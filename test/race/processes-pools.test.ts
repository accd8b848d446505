/** Races of pools, orders and addresses, over HTTP at two API processes on one database. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import type { MemberId, PoolId, ProgramId } from '../../src/kernel/ids.ts';
import { type ApiPair, type PairAnswer, startApiPair, tallyOf } from '../support/api-processes.ts';
import { testDeps } from '../support/database.ts';
import { aMember, aPool, aProgram, unique } from '../support/factories.ts';
import { expectSound, heldCodes, manyMembers } from '../support/scenes.ts';
import { luck, rounds } from '../support/torture.ts';

let deps: Deps;
let programId: ProgramId;
let on: ApiPair;
beforeAll(async () => {
  deps = await testDeps();
  const program = await aProgram(deps);
  programId = program.programId;
  on = await startApiPair(deps.config.databaseUrl, program.secretKey);
});
afterAll(() => on?.end());

const PAUSE = 'mutation ($id: ID!) { answer: pausePool(id: $id) { id } }';
const VOID = `mutation ($id: ID!, $reason: String!) {
  answer: voidRedemption(id: $id, reason: $reason) { id } }`;
const UPSERT = `mutation ($input: UpsertMemberInput!) {
  answer: upsertMember(input: $input) { id } }`;

const issued = (poolId: PoolId) =>
  deps.db.code.count({ where: { programId, poolId, status: { not: 'AVAILABLE' } } });

/** One guest after the other, until three have been told that the pool issues nothing. */
async function guestsClaim(poolId: PoolId, of: { n: number; onAnswer(): Promise<void> }) {
  const answers: PairAnswer[] = [];
  for (let refused = 0; refused < 3; ) {
    const answer = await on.claim(of.n, { poolId, email: `${unique('guest')}@example.com` });
    answers.push(answer);
    await of.onAnswer();
    if (answer.reason) refused++;
  }
  return answers;
}

test('a pause through one process under claims through both: none is issued after its answer', async () => {
  const CODES = 1_500;
  const dice = luck('pause');
  for (let round = rounds(3, 40); round > 0; round--) {
    const { id: poolId } = await aPool(deps, { programId, codes: CODES });
    let left = 1 + dice.below(60);
    let atPause: number | undefined;
    const pause = async () => {
      await on.ask(round, PAUSE, { id: poolId });
      atPause = await issued(poolId);
    };
    let paused: Promise<void> | undefined;
    const onAnswer = async () => {
      if (--left === 0) paused = pause();
      // However long the pause takes to begin, there are codes left for those who come after it.
      if (paused && atPause === undefined) await sleep(100);
    };
    const queues = Array.from({ length: 24 }, (_, n) => guestsClaim(poolId, { n, onAnswer }));
    const answers = (await Promise.all(queues)).flat();
    await paused;
    expect(atPause).toBeLessThan(CODES);
    expect(tallyOf(answers)).toEqual({ new: atPause, POOL_NOT_ISSUING: 72 });
    expect(await issued(poolId)).toBe(atPause);
  }
  await expectSound(deps, programId);
});

test('void, and redeem for other orders, at two processes at once: at most one is live', async () => {
  const codes = await heldCodes(deps, { programId, count: rounds(20, 400) });
  for (const [n, { id: codeId, plaintext: code }] of codes.entries()) {
    const orders = ['old', 'new', 'newer', 'newest'].map(unique) as [string, ...string[]];
    const { redemption } = await on.redeem(n, { code, orderId: orders[0] });
    const voids = [0, 1].map((i) => async () => {
      await on.ask(i, VOID, { id: redemption.id, reason: 'returned' });
      return [];
    });
    const redemptions = orders.map((orderId, i) => async () => {
      const answer = await on.redeem(i, { code, orderId });
      return answer.reason || answer.alreadyRedeemed ? [] : [answer.redemption.id];
    });
    const goes = luck(`void ${n}`).shuffled<() => Promise<string[]>>([...voids, ...redemptions]);
    const done = (await Promise.all(goes.map((go) => go()))).flat();
    const live = await deps.db.redemption.findMany({
      where: { programId, codeId, voidedAt: null },
    });
    expect(live.map(({ id }) => id)).toEqual(done);
    expect(live.length).toBeLessThanOrEqual(1);
  }
  await expectSound(deps, programId);
});

test('two codes on one order at two processes at once: one discount', async () => {
  for (let round = rounds(1, 20); round > 0; round--) {
    const codes = await heldCodes(deps, { programId, count: 60 });
    const orders = Array.from({ length: 30 }, () => unique('order'));
    const goes = codes.map(({ plaintext }, i) => () => {
      // The two codes of an order go to different processes: i and i + 30 would be the same one.
      const n = i < 30 ? i : i + 1;
      return on.redeem(n, { code: plaintext, orderId: orders[i % 30] as string });
    });
    const shuffled = luck(`discount ${round}`).shuffled(goes);
    const answers = await Promise.all(shuffled.map((go) => go()));
    expect(tallyOf(answers)).toEqual({ new: 30, ORDER_ALREADY_DISCOUNTED: 30 });
    const where = { programId, orderId: { in: orders }, voidedAt: null };
    const discounted = await deps.db.redemption.findMany({ where });
    expect(discounted.map(({ orderId }) => orderId).sort()).toEqual(orders.toSorted());
  }
  await expectSound(deps, programId);
});

/** Pools of these sizes, each falling back to the next. */
async function aChain(sizes: number[]): Promise<PoolId[]> {
  const pools: PoolId[] = [];
  for (const codes of sizes.toReversed()) {
    const [fallbackPoolId] = pools;
    const input = fallbackPoolId ? ({ exhaustion: 'FALLBACK', fallbackPoolId } as const) : {};
    pools.unshift((await aPool(deps, { programId, codes, input })).id);
  }
  return pools;
}

test('a chain of pools at two processes: every code issued once, nobody refused before', async () => {
  for (let round = rounds(1, 20); round > 0; round--) {
    const pools = await aChain([60, 40, 50]);
    const [asked, middle] = pools as [PoolId, PoolId];
    const members = await manyMembers(deps, { programId, count: 170 });
    const ask = (memberId: MemberId, i: number) =>
      on.claim(i, { poolId: i % 5 === 0 ? middle : asked, memberId });
    // As many as there are codes: one who is refused too early is not made up for by another.
    const answers = await Promise.all(members.slice(0, 150).map(ask));
    expect(tallyOf(answers)).toEqual({ new: 150 });
    expect(new Set(answers.map(({ code }) => code.id)).size).toBe(150);
    expect(await Promise.all(pools.map(issued))).toEqual([60, 40, 50]);
    const late = await Promise.all(members.slice(150).map(ask));
    expect(tallyOf(late)).toEqual({ POOL_EXHAUSTED: 20 });
  }
  await expectSound(deps, programId);
});

const verify = (n: number, externalId: string, email: string) =>
  on.ask(n, UPSERT, { input: { externalId, email, emailVerified: true } });

/** The codes that the member owns, and those that were claimed with the address. */
const codesOf = (poolId: PoolId, memberId: string, email: string) =>
  deps.db.code.findMany({
    where: { programId, poolId, OR: [{ memberId }, { claimEmail: email }] },
  });

async function guestMemberAndVerification(poolId: PoolId, n: number) {
  const externalId = unique('verified');
  const email = `${externalId}@example.com`;
  const { id: memberId } = await aMember(deps, { programId, externalId, email });
  const dice = luck(externalId);
  // A claim is quicker than the verification, and would always be there before it.
  const soon = () => new Promise((resolve) => setTimeout(resolve, dice.below(25)));
  const goes = dice.shuffled<() => Promise<PairAnswer>>([
    () => soon().then(() => on.claim(n, { poolId, email })),
    () => soon().then(() => on.claim(n + 1, { poolId, memberId })),
    () => verify(n, externalId, email),
  ]);
  const answers = await Promise.all(goes.map((go) => go()));
  const claimed = answers.flatMap(({ code }) => (code ? [code.id] : []));
  // Before the address is verified they are two people, who may have a code each.
  const owned = await codesOf(poolId, memberId, email);
  expect(new Set(claimed)).toEqual(new Set(owned.map(({ id }) => id)));
  expect(owned.every((code) => code.memberId === memberId)).toBe(true);
  // From then on they are one: both are given the member's own claim, or the only one.
  const again = [await on.claim(n, { poolId, email }), await on.claim(n, { poolId, memberId })];
  expect(tallyOf(again)).toEqual({ again: 2 });
  expect(again[0]?.plaintext).toBe(again[1]?.plaintext);
  return owned.length;
}

test('guest, member and the verification of the address at once: the member has what they got', async () => {
  for (let round = rounds(1, 20); round > 0; round--) {
    const { id: poolId } = await aPool(deps, { programId, codes: 60 });
    const counts = await Promise.all(
      Array.from({ length: 30 }, (_, n) => guestMemberAndVerification(poolId, n)),
    );
    expect(await issued(poolId)).toBe(counts.reduce((sum, count) => sum + count, 0));
  }
  await expectSound(deps, programId);
});

test('a guest claims while the address is verified, then the member: one code', async () => {
  for (let round = rounds(1, 20); round > 0; round--) {
    const { id: poolId } = await aPool(deps, { programId, codes: 60 });
    await Promise.all(
      Array.from({ length: 30 }, async (_, n) => {
        const externalId = unique('late');
        const email = `${externalId}@example.com`;
        const asGuest = on.claim(n, { poolId, email });
        const { id: memberId } = await verify(n + 1, externalId, email);
        const asMember = await on.claim(n, { poolId, memberId });
        expect((await asGuest).plaintext).toBe(asMember.plaintext);
        expect(await codesOf(poolId, memberId, email)).toMatchObject([{ memberId }]);
      }),
    );
    expect(await issued(poolId)).toBe(30);
  }
  await expectSound(deps, programId);
});
