import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pausePool, resumePool, revokeCode, voidRedemption } from '../../src/coupons/index.ts';
import { openCode } from '../../src/coupons/vault.ts';
import type { CodeId, MemberId, PoolId, RedemptionId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { asMember, openShop, type Shop, START } from '../support/shop.ts';
import { rounds, seed, torture } from '../support/torture.ts';
import { type CodeFacts, type Expected, Oracle, type PoolFacts } from './claims-oracle.ts';

const deps = await testDeps({ config: { lookupBudget: 1_000_000 } });
const HOUR = 3_600_000;
// A counterexample is made smaller for so long: an ordinary run must end while somebody waits.
const LIMIT_MS = torture ? HOUR : 60_000;

const nat = (max: number) => fc.nat({ max: max - 1 });
// Three members, five guests; the first two guests have the addresses of the members.
const claimant = fc.constantFrom(0, 0, 1, 2, 3, 3, 3, 4, 5, 6, 7);
const order = fc.constantFrom('order-1', 'order-1', 'order-2', 'order-3');
const asker = nat(6); // the merchant, the merchant for a member, or a member's token
const step = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({
      do: fc.constant('claim' as const),
      pool: fc.constantFrom(0, 1, 1, 2, 3, 3, 3),
      claimant,
      key: fc.constantFrom('', '', 'a'),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('redeem' as const),
      code: nat(40),
      order,
      amount: fc.constantFrom(0, 999, 1_000, 10_001),
      asker,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('reserve' as const),
      code: nat(40),
      order,
      ttl: fc.constantFrom(1, 900, 10_800, 10_800),
      asker,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('release' as const), code: nat(40), order, asker }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('void' as const), redemption: nat(20) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('revoke' as const), code: nat(40) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      boundary: nat(8),
      nudge: fc.constantFrom(-1, 0, 0, 0, 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('verify' as const), member: nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pause' as const), pool: nat(4) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

type World = {
  shop: Shop;
  oracle: Oracle;
  texts: Map<string, string>;
  members: { id: MemberId; externalId: string; email: string | undefined }[];
  guests: string[];
};

async function aWorld(): Promise<World> {
  const shop = await openShop(deps);
  const { programId } = shop;
  const tag = unique('w');
  const emails = [`ann-${tag}@shop.example`, `bob-${tag}@shop.example`, `ann-${tag}@shop.example`];
  const members = [];
  for (const email of emails) {
    const { id, externalId } = await shop.member(email ? { email } : {});
    members.push({ id, externalId, email });
  }
  const common = { percent: 1_500, minOrder: 0, limit: 1, fallback: undefined, endsAt: undefined };
  const facts = { ...common, stackable: false, paused: false };
  const pools: PoolFacts[] = [];
  const make = async (codes: number, of: Partial<PoolFacts>) => {
    const wanted = { ...facts, ...of };
    const { id } = await shop.pool(codes, {
      discountValue: wanted.percent,
      minOrderAmount: wanted.minOrder,
      perMemberLimit: wanted.limit,
      stackable: wanted.stackable,
      endsAt: wanted.endsAt === undefined ? null : new Date(START.getTime() + wanted.endsAt),
      ...(wanted.fallback ? { exhaustion: 'FALLBACK', fallbackPoolId: wanted.fallback } : {}),
    });
    pools.push({ ...wanted, id });
    return id;
  };
  const spare = await make(2, { limit: 1, stackable: true, percent: 333 });
  await make(3, { limit: 1, minOrder: 1_000, endsAt: 2 * HOUR });
  await make(4, { limit: 2, stackable: true });
  await make(1, { limit: 2, fallback: spare });
  const rows = await deps.db.code.findMany({ where: { programId }, orderBy: { id: 'asc' } });
  const codes: CodeFacts[] = rows.map(({ id, poolId }) => ({
    id,
    pool: poolId,
    status: 'AVAILABLE',
  }));
  const oracle = new Oracle({
    pools,
    codes,
    members: members.map(({ id, email }) => ({ id, email, verified: false })),
  });
  const texts = new Map(rows.map((row) => [row.id, openCode(deps, row)]));
  const guests = [
    ...(emails.slice(0, 2) as string[]),
    `c.at-${tag}@gmail.com`,
    `cat-${tag}+x@gmail.com`,
    `dan-${tag}@shop.example`,
  ];
  return { shop, oracle, texts, members, guests };
}

/** A refusal may have any of the reasons that hold; a success none. */
function expectAnswer(answer: { ok: boolean; reason?: string }, expected: Expected<unknown>) {
  if ('refused' in expected) expect(expected.refused).toContain(answer.reason);
  else expect(answer).toMatchObject({ ok: true });
}

const optional = <K extends string, V>(key: K, value: V | undefined) =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };

function askerOf({ members }: World, n: number) {
  const memberId = members[n % 3]?.id as MemberId;
  if (n < 2) return { by: {}, said: {} };
  if (n === 2)
    return {
      by: { asker: { kind: 'merchant' as const, owner: memberId } },
      said: { owner: memberId },
    };
  return { by: { asker: asMember(memberId) }, said: { caller: memberId } };
}

type Doing<Name> = { world: World; step: Extract<Step, { do: Name }> };

async function claim({ world, step }: Doing<'claim'>) {
  const { shop, oracle, members, guests } = world;
  const memberId = members[step.claimant]?.id;
  const email = memberId ? undefined : guests[step.claimant - 3];
  const pool = oracle.pools[step.pool]?.id as string;
  const who = { ...optional('memberId', memberId), ...optional('email', email) };
  const expected = oracle.claim({ pool, key: step.key, ...who });
  const answer = await shop.claim(pool, { ...who, claimKey: step.key });
  expectAnswer(answer, expected as Expected<unknown>);
  if (!answer.ok || !expected.ok) return;
  expect(expected.ok.codes.map(({ id }) => id)).toContain(answer.code.id);
  expect(answer.alreadyClaimed).toBe(expected.ok.held);
  expect(answer.plaintext).toBe(world.texts.get(answer.code.id));
  const { owner, match } = expected.ok.who;
  if (!expected.ok.held)
    oracle.give(oracle.code(answer.code.id), {
      pool,
      key: step.key,
      match,
      ...optional('owner', owner),
      ...optional('email', email),
    });
}

/** Mostly a code that somebody has: the others have little to tell. */
const pick = (world: World, n: number) => {
  const given = world.oracle.codes.filter((code) => code.status !== 'AVAILABLE');
  const codes = n < 34 && given.length > 0 ? given : world.oracle.codes;
  const code = codes[n % codes.length] as CodeFacts;
  return { code, text: world.texts.get(code.id) as string };
};

async function redeem({ world, step }: Doing<'redeem'>) {
  const { code, text } = pick(world, step.code);
  const { by, said } = askerOf(world, step.asker);
  const { order, amount } = step;
  const expected = world.oracle.redeem(code, { order, amount, ...said });
  const answer = await world.shop.redeem(text, order, { ...by, orderAmount: amount });
  expectAnswer(answer, expected);
  if (!answer.ok || 'refused' in expected) return;
  expect(answer.alreadyRedeemed).toBe(expected.ok !== undefined);
  const { id, discountAmount } = answer.redemption;
  if (expected.ok) expect(id).toBe(expected.ok.id);
  const discount = expected.ok?.discount ?? world.oracle.spend(code, { id, order, amount });
  expect(Number(discountAmount)).toBe(discount);
}

async function reserve({ world, step }: Doing<'reserve'>) {
  const { code, text } = pick(world, step.code);
  const { by, said } = askerOf(world, step.asker);
  const expected = world.oracle.reserve(code, { order: step.order, ttl: step.ttl, ...said });
  const answer = await world.shop.reserve(text, step.order, { ...by, ttlSeconds: step.ttl });
  expectAnswer(answer, expected as Expected<number>);
}

async function release({ world, step }: Doing<'release'>) {
  const { code, text } = pick(world, step.code);
  const { by, said } = askerOf(world, step.asker);
  const expected = world.oracle.release(code, { order: step.order, ...said });
  expect(await world.shop.release(text, step.order, by)).toBe(expected);
}

/** Just before, at or just after the end of a reservation or a pool: where mistakes live. */
function moment(oracle: Oracle, step: Extract<Step, { do: 'advance' }>): number {
  const ends = [...oracle.codes.map((code) => code.until), ...oracle.pools.map((p) => p.endsAt)];
  const ahead = ends.filter((end) => end !== undefined && end > oracle.now) as number[];
  const end = ahead.sort((a, b) => a - b)[step.boundary % ahead.length] ?? oracle.now + 1_000;
  return Math.max(oracle.now, end + step.nudge);
}

async function perform(world: World, step: Step): Promise<void> {
  const { shop, oracle } = world;
  const { programId } = shop;
  if (step.do === 'claim') await claim({ world, step });
  else if (step.do === 'redeem') await redeem({ world, step });
  else if (step.do === 'reserve') await reserve({ world, step });
  else if (step.do === 'release') await release({ world, step });
  else if (step.do === 'advance') {
    oracle.now = moment(oracle, step);
    await shop.clockAt(oracle.now);
  } else if (step.do === 'void') {
    const redemption = oracle.redemptions[step.redemption % oracle.redemptions.length];
    if (!redemption) return;
    await voidRedemption(deps, {
      programId,
      redemptionId: redemption.id as RedemptionId,
      reason: 'x',
    });
    oracle.void(redemption);
  } else if (step.do === 'revoke') {
    const { code } = pick(world, step.code);
    const work = revokeCode(deps, { programId, codeId: code.id as CodeId, reason: 'x' });
    if (oracle.revoke(code)) await work;
    else await expect(work).rejects.toMatchObject({ code: 'CONFLICT' });
  } else if (step.do === 'verify') {
    const [member, facts] = [world.members[step.member], oracle.members[step.member]];
    if (!member?.email || !facts) return;
    await shop.verify(member.externalId, member.email);
    oracle.verify(facts);
  } else if (step.do === 'pause') {
    const pool = oracle.pools[step.pool] as PoolFacts;
    await (pool.paused ? resumePool : pausePool)(deps, { programId, poolId: pool.id as PoolId });
    pool.paused = !pool.paused;
  }
}

/** The whole database of codes and redemptions is what the oracle believes it to be. */
async function expectSameState({ shop, oracle }: World) {
  const { programId } = shop;
  const rows = await deps.db.code.findMany({ where: { programId }, orderBy: { id: 'asc' } });
  const stored = rows.map((row) => ({
    id: row.id,
    pool: row.poolId,
    status: row.status,
    ...optional('asked', row.askedPoolId ?? undefined),
    ...optional('owner', row.memberId ?? undefined),
    ...optional('match', row.ownerMatch ?? undefined),
    ...optional('email', row.claimEmail ?? undefined),
    ...optional('order', row.reservedFor ?? undefined),
    ...optional(
      'until',
      row.reservedUntil ? row.reservedUntil.getTime() - START.getTime() : undefined,
    ),
  }));
  expect(stored).toEqual(oracle.codes.map(({ key: _, mailbox: __, at: ___, ...code }) => code));
  const redemptions = await deps.db.redemption.findMany({ where: { programId } });
  const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);
  const told = redemptions.map((row) => ({
    id: row.id,
    code: row.codeId,
    order: row.orderId,
    amount: Number(row.orderAmount),
    discount: Number(row.discountAmount),
    voided: row.voidedAt !== null,
  }));
  expect(told.sort(byId)).toEqual([...oracle.redemptions].sort(byId));
}

test(
  "whatever is claimed, reserved, redeemed, voided and revoked, every answer is the oracle's",
  async () => {
    const run = fc.asyncProperty(
      fc.array(step, { minLength: 40, maxLength: 100, size: 'max' }),
      async (steps) => {
        const world = await aWorld();
        for (const each of steps) await perform(world, each);
        await expectSameState(world);
      },
    );
    await fc.assert(run, { numRuns: rounds(10, 300), seed, interruptAfterTimeLimit: LIMIT_MS });
  },
  LIMIT_MS + 60_000,
);
