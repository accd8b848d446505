import { expect, test } from 'vitest';
import type { MemberId, PoolId } from '../../src/kernel/ids.ts';
import { upsertMember } from '../../src/members/index.ts';
import { aMember, aPool, unique } from '../support/factories.ts';
import {
  aRace,
  claim,
  expectSound,
  manyMembers,
  newOrHeld,
  overlapping,
  tally,
} from '../support/scenes.ts';
import { type Session, sessions, untilAnswered } from '../support/sessions.ts';
import { luck, rounds } from '../support/torture.ts';

const { on, programId, first, second } = await aRace();

/** A pool of three codes, and a claim of it by a member that is new. */
async function aClaim(codes = 3) {
  const { id: poolId } = await aPool(on.left, { programId, codes });
  const [memberId] = (await manyMembers(on.left, { programId, count: 1 })) as [MemberId];
  return { poolId, memberId };
}

/** The codes that anybody has of a pool, by the database. */
async function issued(poolId: PoolId): Promise<string[]> {
  const codes = await on.left.db.code.findMany({
    where: { programId, poolId, status: { not: 'AVAILABLE' } },
    select: { id: true },
  });
  return codes.map((code) => code.id);
}

test('claim, claim, commit: the second is told AGAIN at once, then given the same code', async () => {
  const item = await aClaim();
  await first.begin();
  const [mine] = await first.claim(programId, [item]);
  expect(mine?.outcome).toBe('CLAIMED');
  expect(await second.claim(programId, [item])).toEqual([{ outcome: 'AGAIN', codeId: null }]);
  await first.commit();
  expect(await second.claim(programId, [item])).toEqual([
    { outcome: 'HELD', codeId: mine?.codeId },
  ]);
});

test('claim, claim, commit, commit: one code', async () => {
  const item = await aClaim();
  await first.begin();
  await first.claim(programId, [item]);
  await overlapping(first, () => second.claim(programId, [item]));
  expect(await issued(item.poolId)).toHaveLength(1);
});

test('claim, claim, roll back: the second is given a code', async () => {
  const item = await aClaim(1);
  await first.begin();
  await first.claim(programId, [item]);
  const waiting = untilAnswered(() => second.claim(programId, [item]));
  await first.rollback();
  expect((await waiting).outcome).toBe('CLAIMED');
  await expectSound(on.left, programId);
});

test('two members, claim, claim, commit, commit: neither waits, and the codes differ', async () => {
  const { poolId, memberId } = await aClaim();
  const [other] = (await manyMembers(on.left, { programId, count: 1 })) as [MemberId];
  await first.begin();
  await second.begin();
  const [mine] = await first.claim(programId, [{ poolId, memberId }]);
  const [theirs] = await second.claim(programId, [{ poolId, memberId: other }]);
  await second.commit();
  await first.commit();
  expect([mine?.outcome, theirs?.outcome]).toEqual(['CLAIMED', 'CLAIMED']);
  expect(mine?.codeId).not.toBe(theirs?.codeId);
});

test('two members, the last code, commit, commit: one of them has it', async () => {
  const { poolId, memberId } = await aClaim(1);
  const [other] = (await manyMembers(on.left, { programId, count: 1 })) as [MemberId];
  await first.begin();
  const [mine] = await first.claim(programId, [{ poolId, memberId }]);
  await overlapping(first, () => second.claim(programId, [{ poolId, memberId: other }]));
  const owners = await on.left.db.code.findMany({ where: { programId, poolId } });
  expect(owners.map(({ id, memberId: owner }) => [id, owner])).toEqual([[mine?.codeId, memberId]]);
  expect(await on.left.db.claim.count({ where: { programId, codeId: mine?.codeId ?? '' } })).toBe(
    1,
  );
});

test('200 claims of one member in two processes at once: one code', async () => {
  for (let round = rounds(3, 20); round > 0; round--) {
    const { poolId, memberId } = await aClaim();
    const claims = Array.from({ length: 200 }, (_, i) =>
      // Another actor makes another request of it: the queue answers equal ones together.
      claim(on.either(i), { programId, poolId, memberId, actor: `key:${i}` }),
    );
    const answers = await Promise.all(claims);
    expect(tally(answers, newOrHeld)).toEqual({ new: 1, held: 199 });
    expect(new Set(answers.map((answer) => answer.ok && answer.code.id)).size).toBe(1);
    expect(await issued(poolId)).toHaveLength(1);
  }
  await expectSound(on.left, programId);
});

test('200 claims of one member on 20 connections at once: one code', async () => {
  const connections = await sessions(on.databaseUrl, 20);
  for (let round = rounds(3, 40); round > 0; round--) {
    const item = await aClaim();
    const answers = await Promise.all(
      connections.map(async (connection) => {
        const codes = new Set<string | null>();
        for (let i = 0; i < 10; i++)
          codes.add((await untilAnswered(() => connection.claim(programId, [item]))).codeId);
        return [...codes];
      }),
    );
    expect(new Set(answers.flat())).toEqual(new Set(await issued(item.poolId)));
    expect(await issued(item.poolId)).toHaveLength(1);
  }
  for (const connection of connections) await connection.close();
});

test('500 members, 300 codes: 300 distinct codes, and 200 times POOL_EXHAUSTED', async () => {
  for (let round = rounds(1, 10); round > 0; round--) {
    const { id: poolId } = await aPool(on.left, { programId, codes: 300 });
    const members = await manyMembers(on.left, { programId, count: 500 });
    const answers = await Promise.all(
      members.map((memberId, i) =>
        claim(on.either(i), { programId, poolId, memberId, actor: 'key:a' }),
      ),
    );
    expect(tally(answers, newOrHeld)).toEqual({ new: 300, POOL_EXHAUSTED: 200 });
    const texts = answers.flatMap((answer) => (answer.ok ? [answer.plaintext] : []));
    expect(new Set(texts).size).toBe(300);
  }
  await expectSound(on.left, programId);
});

test('the last ten codes held, half rolled back: every code issued, nobody refused early', async () => {
  const holders = await sessions(on.databaseUrl, 10);
  for (let round = rounds(2, 20); round > 0; round--) {
    const { id: poolId } = await aPool(on.left, { programId, codes: 10 });
    const members = await manyMembers(on.left, { programId, count: 20 });
    for (const [i, holder] of holders.entries()) {
      await holder.begin();
      const [held] = await holder.claim(programId, [{ poolId, memberId: members[i] as string }]);
      expect(held?.outcome).toBe('CLAIMED');
    }
    const early: unknown[] = [];
    const late = members.slice(10).map(async (memberId, i) => {
      const answer = await claim(on.either(i), { programId, poolId, memberId, actor: 'key:a' });
      early.push(answer);
      return answer;
    });
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(early).toEqual([]);
    for (const [i, holder] of luck(`half ${round}`).shuffled(holders).entries())
      await (i < 5 ? holder.commit() : holder.rollback());
    expect(tally(await Promise.all(late), newOrHeld)).toEqual({ new: 5, POOL_EXHAUSTED: 5 });
    expect(await issued(poolId)).toHaveLength(10);
  }
  for (const holder of holders) await holder.close();
  await expectSound(on.left, programId);
});

async function aVerifiedMember() {
  const email = `${unique('both')}@example.com`;
  const { id: memberId } = await aMember(on.left, { programId, email, emailVerified: true });
  return { memberId, email };
}

test('guest claims, member claims, commit: one person, so the same code', async () => {
  const { poolId } = await aClaim();
  const { memberId, email } = await aVerifiedMember();
  await first.begin();
  const [asGuest] = await first.claim(programId, [{ poolId, email }]);
  const meanwhile = await second.claim(programId, [{ poolId, memberId }]);
  expect(meanwhile).toEqual([{ outcome: 'AGAIN', codeId: null }]);
  await first.commit();
  const [asMember] = await second.claim(programId, [{ poolId, memberId }]);
  expect(asMember).toEqual({ outcome: 'HELD', codeId: asGuest?.codeId });
});

test('guest and member with the same verified e-mail claim at once: one code', async () => {
  for (let round = rounds(3, 30); round > 0; round--) {
    const { poolId } = await aClaim(60);
    const pairs = await Promise.all(Array.from({ length: 20 }, aVerifiedMember));
    const claims = pairs.flatMap(({ memberId, email }, i) => [
      () => claim(on.either(i), { programId, poolId, memberId, actor: 'key:a' }),
      () => claim(on.either(i + 1), { programId, poolId, email, actor: 'key:a' }),
    ]);
    const answers = await Promise.all(
      luck(`pairs ${round}`)
        .shuffled(claims)
        .map((go) => go()),
    );
    expect(tally(answers, newOrHeld)).toEqual({ new: 20, held: 20 });
    expect(await issued(poolId)).toHaveLength(20);
  }
  await expectSound(on.left, programId);
});

const verify = (externalId: string, email: string) =>
  upsertMember(on.right, { programId, input: { externalId, email, emailVerified: true } });

test('guest claims, e-mail is verified, commit: the code is the member’s', async () => {
  const { poolId } = await aClaim();
  const externalId = unique('verified');
  const email = `${externalId}@example.com`;
  await first.begin();
  const [asGuest] = await first.claim(programId, [{ poolId, email }]);
  const member = await overlapping(first, () => verify(externalId, email));
  if (member instanceof Error) throw member;
  const memberId = member.id as MemberId;
  const answer = await claim(on.left, { programId, poolId, memberId, actor: 'key:a' });
  expect(answer).toMatchObject({ ok: true, alreadyClaimed: true, code: { id: asGuest?.codeId } });
});

test('guest is looked up, e-mail is verified, guest is locked: it starts again', async () => {
  const { poolId } = await aClaim();
  const externalId = unique('verified');
  const email = `${externalId}@example.com`;
  const { id: memberId } = await aMember(on.left, { programId, externalId, email });
  // The call has looked the guest up, and comes to a halt before it takes its locks.
  await first.begin();
  await first.query('LOCK TABLE pools IN ACCESS EXCLUSIVE MODE');
  const claiming = second.claim(programId, [{ poolId, email }]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await verify(externalId, email);
  const [member] = (await sessions(on.databaseUrl, 1)) as [Session];
  await member.begin();
  await member.query('SELECT lock_identities($1, $2)', [programId, [`member:${memberId}`]]);
  await first.commit();
  expect(await claiming).toEqual([{ outcome: 'AGAIN', codeId: null }]);
  await member.rollback();
  const [answer] = await second.claim(programId, [{ poolId, email }]);
  expect(answer?.outcome).toBe('CLAIMED');
  expect(await on.left.db.code.count({ where: { programId, poolId, memberId } })).toBe(1);
});

test('guest claims while the e-mail is being verified, then the member: one code', async () => {
  for (let round = rounds(5, 60); round > 0; round--) {
    const { poolId } = await aClaim(20);
    await Promise.all(
      Array.from({ length: 10 }, async (_, i) => {
        const externalId = unique('verified');
        const email = `${externalId}@example.com`;
        const guest = claim(on.either(i), { programId, poolId, email, actor: 'key:a' });
        const { id: memberId } = await verify(externalId, email);
        const answer = await claim(on.left, { programId, poolId, memberId, actor: 'key:a' });
        const codes = [await guest, answer].map((claimed) => claimed.ok && claimed.code.id);
        expect(new Set(codes).size).toBe(1);
      }),
    );
    expect(await issued(poolId)).toHaveLength(10);
  }
  await expectSound(on.left, programId);
});
