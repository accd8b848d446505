/** The races again, as clients meet them: over HTTP, at two API processes on one database. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import type { MemberId, ProgramId } from '../../src/kernel/ids.ts';
import {
  type ApiPair,
  type ApiProcess,
  type PairAnswer,
  startApiPair,
  startApiProcess,
  tallyOf,
} from '../support/api-processes.ts';
import { testDeps } from '../support/database.ts';
import { aMember, aPool, aProgram, unique } from '../support/factories.ts';
import { expectSound, heldCodes, manyMembers } from '../support/scenes.ts';
import { luck, rounds, torture } from '../support/torture.ts';

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

test('200 claims of one member at two API processes at once: one code', async () => {
  for (let round = rounds(1, 10); round > 0; round--) {
    const { id: poolId } = await aPool(deps, { programId, codes: 3 });
    const [memberId] = (await manyMembers(deps, { programId, count: 1 })) as [MemberId];
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => on.claim(i, { poolId, memberId })),
    );
    expect(tallyOf(answers)).toEqual({ new: 1, again: 199 });
    expect(new Set(answers.map(({ plaintext }) => plaintext)).size).toBe(1);
  }
});

test('500 members claim 300 codes at two API processes: 300 have one, 200 are told', async () => {
  for (let round = rounds(1, 5); round > 0; round--) {
    const { id: poolId } = await aPool(deps, { programId, codes: 300 });
    const members = await manyMembers(deps, { programId, count: 500 });
    const answers = await Promise.all(
      members.map((memberId, i) => on.claim(i, { poolId, memberId })),
    );
    expect(tallyOf(answers)).toEqual({ new: 300, POOL_EXHAUSTED: 200 });
    const codes = answers.flatMap(({ reason, code }) => (reason ? [] : [code.id]));
    expect(new Set(codes).size).toBe(300);
  }
  await expectSound(deps, programId);
});

test('100 orders redeem one code at two API processes at once: one succeeds', async () => {
  for (const code of await heldCodes(deps, { programId, count: rounds(3, 20) })) {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        on.redeem(i, { code: code.plaintext, orderId: unique('order') }),
      ),
    );
    expect(tallyOf(answers)).toEqual({ new: 1, CODE_ALREADY_REDEEMED: 99 });
  }
  await expectSound(deps, programId);
});

test('guest and member with one verified e-mail at two API processes: one code', async () => {
  for (let round = rounds(1, 10); round > 0; round--) {
    const { id: poolId } = await aPool(deps, { programId, codes: 60 });
    const claims = await Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        const email = `${unique('both')}@example.com`;
        const { id: memberId } = await aMember(deps, { programId, email, emailVerified: true });
        return [() => on.claim(i, { poolId, memberId }), () => on.claim(i + 1, { poolId, email })];
      }),
    );
    const goes = luck(`both ${round}`).shuffled(claims.flat());
    expect(tallyOf(await Promise.all(goes.map((go) => go())))).toEqual({ new: 30, again: 30 });
  }
  await expectSound(deps, programId);
});

type Acknowledged = { memberId: string; codeId: string; orderId: string; redemptionId: string };

/** Asks one process and, where it has died, the other: the same request, as a client's retry is. */
async function insist(go: (n: number) => Promise<PairAnswer>, n: number): Promise<PairAnswer> {
  try {
    return await go(n);
  } catch {
    return go(n + 1);
  }
}

/** `said` has what was acknowledged, in the order in which it was. */
async function shop(of: {
  n: number;
  poolId: string;
  memberId: string;
  said: Partial<Acknowledged>[];
}) {
  const { n, poolId, memberId, said } = of;
  const claimed = await insist((at) => on.claim(at, { poolId, memberId }), n);
  said.push({ memberId, codeId: claimed.code.id });
  const orderId = `order of ${memberId}`;
  const redeemed = await insist((at) => on.redeem(at, { code: claimed.plaintext, orderId }), n);
  said.push({ codeId: claimed.code.id, orderId, redemptionId: redeemed.redemption.id });
}

/** Everything that was acknowledged is there, and is the only one of its kind. */
async function expectKept(said: Partial<Acknowledged>[]) {
  for (const { memberId, codeId, orderId, redemptionId } of said) {
    if (memberId) {
      const codes = await deps.db.code.findMany({ where: { programId, memberId } });
      expect(codes.map(({ id }) => id)).toEqual([codeId]);
    }
    if (orderId) {
      const redemptions = await deps.db.redemption.findMany({ where: { programId, orderId } });
      expect(redemptions).toMatchObject([{ id: redemptionId, codeId, voidedAt: null }]);
    }
  }
}

test('SIGKILL of one of two API processes under load: what was acknowledged is there exactly once', {
  timeout: torture ? 600_000 : 60_000,
}, async () => {
  const dice = luck('kill');
  const count = torture ? 400 : 150;
  for (let round = rounds(1, 10); round > 0; round--) {
    const { id: poolId } = await aPool(deps, { programId, codes: count });
    const members = await manyMembers(deps, { programId, count });
    const said: Partial<Acknowledged>[] = [];
    const shoppers = Promise.all(members.map((memberId, n) => shop({ n, poolId, memberId, said })));
    const enough = 50 + dice.below(count);
    while (said.length < enough) await new Promise((resolve) => setTimeout(resolve, 1));
    const doomed = dice.below(2);
    await (on.processes[doomed] as ApiProcess).end('SIGKILL');
    await shoppers;
    expect(said).toHaveLength(2 * count);
    await expectKept(said);
    if (round > 1) on.processes[doomed] = await startApiProcess(deps.config.databaseUrl);
  }
  await expectSound(deps, programId);
});
