import fc from 'fast-check';
import { expect, test } from 'vitest';
import { revokeCode, revokeCodes, walletsOf } from '../../src/coupons/index.ts';
import { claimCodesSql } from '../../src/coupons/sql/claim-codes.ts';
import type { CodeId, MemberId, PoolId } from '../../src/kernel/ids.ts';
import { upsertMember } from '../../src/members/index.ts';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { aCampaign } from '../support/recipients.ts';
import { openShop, type Shop } from '../support/shop.ts';
import { rounds, seed, torture } from '../support/torture.ts';
import {
  type Answer,
  type CodeFacts,
  type Named,
  Oracle,
  type RecipientFacts,
} from './ownership-oracle.ts';

const deps = await testDeps();
const LIMIT_MS = torture ? 3_600_000 : 60_000;

const nat = (max: number) => fc.nat({ max: max - 1 });
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('claim' as const),
      pool: nat(2),
      by: nat(14),
      key: fc.constantFrom('', '', 'a'),
      // As a campaign issues it: nobody is given the text.
      unseen: fc.constantFrom(false, false, true),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('set' as const),
      member: nat(3),
      email: fc.constantFrom(0, 0, 1, 2, 3, null),
      verified: fc.constantFrom(true, true, true, false),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke' as const), code: nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('replace' as const), pool: nat(2) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

type World = {
  shop: Shop;
  oracle: Oracle;
  members: { id: MemberId; externalId: string }[];
  emails: string[];
  /** For each pool every way to name a claimant; last one who is another campaign's. */
  ways: Named[][];
  ms: number;
};

async function aWorld(): Promise<World> {
  const shop = await openShop(deps);
  const { programId } = shop;
  const tag = unique('w');
  const emails = [
    `ann-${tag}@shop.example`,
    `ann-${tag}+x@shop.example`,
    `c.at-${tag}@gmail.com`,
    `cat-${tag}@gmail.com`,
  ];
  const members: World['members'] = [];
  let ms = 0;
  while (members.length < 3) {
    await shop.clockAt(++ms); // the older ones first
    members.push(await shop.member());
  }
  const pools = [];
  for (const limit of [1, 2])
    pools.push({ id: (await shop.pool(7, { perMemberLimit: limit })).id, limit });
  const named = [...emails.map((email) => ({ email })), ...members.map(({ id }) => ({ id }))];
  const asRecipients = named.map((one) => ('id' in one ? { memberId: one.id } : one));
  const recipients: RecipientFacts[] = [];
  for (const { id: pool } of pools) {
    const made = await aCampaign(deps, { programId, poolId: pool, recipients: asRecipients });
    for (const [i, id] of made.recipients.entries()) {
      const one = named[i] as (typeof named)[number];
      recipients.push('id' in one ? { id, pool, member: one.id } : { id, pool, ...one });
    }
  }
  const rows = await deps.db.code.findMany({ where: { programId }, orderBy: { id: 'asc' } });
  const codes = rows.map(
    ({ id, poolId }): CodeFacts => ({ id, pool: poolId, status: 'AVAILABLE', seen: false }),
  );
  const facts = members.map(({ id }) => ({ id: id as string, email: null, verified: false }));
  const ways = pools.map(({ id: own }): Named[] => [
    ...members.slice(0, 2).map(({ id }) => ({ member: id })),
    ...emails.map((email) => ({ email })),
    ...recipients.filter(({ pool }) => pool === own).map(({ id }) => ({ recipient: id })),
    { recipient: recipients.find(({ pool }) => pool !== own)?.id as string },
  ]);
  const oracle = new Oracle({ pools, members: facts, recipients, codes });
  return { shop, oracle, members, emails, ways, ms };
}

type Claiming = { world: World; step: Extract<Step, { do: 'claim' }> };
type Claimed = { outcome: string; codeId: string | undefined };

async function ask({ world, step }: Claiming, by: Named): Promise<Claimed> {
  const poolId = world.oracle.pools[step.pool]?.id as string;
  const item = {
    ...{ poolId, memberId: by.member, email: by.email, recipientId: by.recipient },
    ...{ claimKey: step.key, actor: step.unseen ? undefined : 'key:a' },
  };
  const { programId } = world.shop;
  const [answer] = await claimCodesSql(deps.db, { programId, items: [item], after: {} });
  return { outcome: answer?.outcome ?? '', codeId: answer?.code?.id };
}

async function claim(claiming: Claiming) {
  const { world, step } = claiming;
  const { oracle } = world;
  const by = world.ways[step.pool]?.[step.by] as Named;
  const pool = oracle.pools[step.pool]?.id as string;
  const expected: Answer = oracle.claim({ by, pool, key: step.key });
  const answer = await ask(claiming, by);
  if ('refused' in expected) return expect(answer.outcome).toBe(expected.refused);
  const code = oracle.code(answer.codeId as string);
  if ('held' in expected) {
    expect(answer.outcome).toBe('HELD');
    expect(expected.held.map(({ id }) => id)).toContain(code.id);
    if (!step.unseen) code.seen = true;
  } else {
    expect(answer.outcome).toBe('CLAIMED');
    expect(code).toMatchObject({ pool, status: 'AVAILABLE' });
    oracle.give(code, { by, key: step.key, seen: !step.unseen });
  }
}

async function setMember(world: World, step: Extract<Step, { do: 'set' }>) {
  const { shop, oracle, members, emails } = world;
  const member = members[step.member] as World['members'][number];
  const email = step.email === null ? null : (emails[step.email] as string);
  const emailVerified = email !== null && step.verified;
  const spelled = email === null ? null : ` ${email.toUpperCase()}`;
  const input = { externalId: member.externalId, email: spelled, emailVerified };
  await upsertMember(deps, { programId: shop.programId, input });
  const facts = oracle.members[step.member] as Oracle['members'][number];
  oracle.set(facts, { email, verified: emailVerified });
}

async function perform(world: World, step: Step) {
  const { shop, oracle } = world;
  const { programId } = shop;
  await shop.clockAt(++world.ms);
  if (step.do === 'claim') await claim({ world, step });
  else if (step.do === 'set') await setMember(world, step);
  else if (step.do === 'revoke') {
    const given = oracle.codes.filter(({ status }) => status === 'ALLOCATED');
    const code = given[step.code % given.length];
    if (!code) return;
    await revokeCode(deps, { programId, codeId: code.id as CodeId, reason: 'x' });
    oracle.revoke(code);
  } else {
    const poolId = oracle.pools[step.pool]?.id as PoolId;
    const asked = { programId, poolId, reason: 'x', replace: true, idempotencyKey: unique('k') };
    const expected = oracle.replaceAll(poolId);
    const done = await revokeCodes(deps, asked).catch((error: Error) => error.message);
    if (typeof expected === 'number') expect(done).toContain(`needs ${expected} more free codes`);
    else expect(done).toEqual(expected);
  }
}

/** Owners, conflicts and places are what the oracle believes; no code is in two wallets. */
async function expectSame({ shop, oracle, members }: World) {
  const { programId } = shop;
  const rows = await deps.db.code.findMany({ where: { programId }, orderBy: { id: 'asc' } });
  const stored = rows.map((row) => ({
    id: row.id,
    status: row.status,
    owner: row.memberId ?? undefined,
    match: row.ownerMatch ?? undefined,
    seen: row.revealedAt !== null,
    replacedBy: row.replacedById ?? undefined,
  }));
  const believed = oracle.codes.map(({ id, status, owner, match, seen, replacedBy }) => ({
    ...{ id, status, owner, match, seen, replacedBy },
  }));
  expect(stored).toEqual(believed);
  const wallets = await walletsOf(deps, { programId, ids: members.map(({ id }) => id) });
  const ids = wallets.map((wallet) => wallet.map(({ id }) => id).sort());
  expect(new Set(ids.flat()).size).toBe(ids.flat().length);
  const owned = (id: string) => oracle.codes.filter(({ owner }) => owner === id);
  expect(ids).toEqual(members.map(({ id }) => owned(id).map((code) => code.id)));
  const conflicts = await deps.db.ownershipConflict.findMany({ where: { programId } });
  const told = conflicts.map(({ codeId, ownerId, otherId }) => `${codeId} ${ownerId} ${otherId}`);
  const expected = oracle.conflicts.map(({ code, owner, other }) => `${code} ${owner} ${other}`);
  expect(told.sort()).toEqual(expected.sort());
}

test(
  'whoever claims, verifies and changes an address, every wallet is what the three-way match says',
  async () => {
    const run = fc.asyncProperty(
      fc.array(step, { minLength: 30, maxLength: 70, size: 'max' }),
      async (steps) => {
        const world = await aWorld();
        for (const each of steps) await perform(world, each);
        await expectSame(world);
      },
    );
    await fc.assert(run, { numRuns: rounds(8, 400), seed, interruptAfterTimeLimit: LIMIT_MS });
  },
  LIMIT_MS + 60_000,
);
