/** Servers killed, frozen and flushed in the middle of a load of awards and spends. */
import { afterAll, describe, expect, test } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import type { MemberId, ProgramId } from '../../src/kernel/ids.ts';
import { migrate } from '../../src/kernel/migrate.ts';
import {
  type Awarded,
  awardPoints,
  type Refused,
  reconcilePoints,
  type Spent,
  spendPoints,
} from '../../src/loyalty/index.ts';
import { type ApiProcess, startApiProcess } from '../support/api-processes.ts';
import { testDeps } from '../support/database.ts';
import { aProgram, unique } from '../support/factories.ts';
import { temporaryHome } from '../support/home.ts';
import { DAY, LADDER, NOON } from '../support/ledger.ts';
import { type OwnRedis, ownPostgres, ownRedis } from '../support/own-servers.ts';
import { manyMembers } from '../support/scenes.ts';
import { luck, rounds, torture } from '../support/torture.ts';

const CAP = 100;
const GIVE_UP_MS = 60_000;
const timeout = torture ? 1_800_000 : 60_000;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const until = async (isSo: () => boolean) => {
  const giveUpAt = performance.now() + GIVE_UP_MS;
  while (!isSo() && performance.now() < giveUpAt) await pause(1);
  expect(isSo()).toBe(true);
};

const aCappedProgram = (deps: Deps) =>
  aProgram(deps, {
    tiers: LADDER,
    settings: { baseRate: '100', dailyCap: CAP },
  } as Parameters<typeof aProgram>[1]);

type Step = { kind: 'award' | 'spend'; memberId: MemberId; points: number; key: string };
type Said = Step & { id: string };
type Ask = (n: number, step: Step) => Promise<string>;

/** Three times: 50 points are bought, of which the last 50 are over the cap, and 30 are spent. */
const stepsOf = (memberId: MemberId): Step[] =>
  ['first', 'second', 'third'].flatMap((name) => [
    { kind: 'award', memberId, points: 50, key: `${name} of ${memberId}` },
    { kind: 'spend', memberId, points: 30, key: `${name} of ${memberId}` },
  ]);

/** Says every step again, to the next process, until it is acknowledged: as a client does. */
async function shop(ask: Ask, of: { n: number; memberId: MemberId; said: Said[] }) {
  for (const step of stepsOf(of.memberId)) {
    const giveUpAt = performance.now() + GIVE_UP_MS;
    for (let n = of.n; ; n++) {
      const id = await ask(n, step).catch((error: Error) => error);
      if (typeof id === 'string') {
        of.said.push({ ...step, id });
        break;
      }
      if (performance.now() > giveUpAt) throw id;
      await pause(20);
    }
  }
}

/** Everything that was acknowledged is there, and is the only one of its kind. */
async function expectKept(deps: Deps, { programId, said }: { programId: ProgramId; said: Said[] }) {
  const inMembers = { programId, memberId: { in: [...new Set(said.map((one) => one.memberId))] } };
  const lots = await deps.db.ledgerBatch.findMany({ where: inMembers });
  const spends = await deps.db.spend.findMany({ where: inMembers });
  const kept = [
    ...lots.map((lot) => `award ${lot.orderId} ${lot.id}`),
    ...spends.map((spend) => `spend ${spend.idempotencyKey} ${spend.id}`),
  ];
  expect(kept.sort()).toEqual(said.map(({ kind, key, id }) => `${kind} ${key} ${id}`).sort());
  expect(await reconcilePoints(deps, { programId })).toEqual([]);
}

/** Many shop at once; when so many steps are acknowledged, `fault` comes. */
async function underLoad(
  deps: Deps,
  of: { programId: ProgramId; ask: Ask; enough: number; fault: () => Promise<unknown> },
): Promise<Said[]> {
  const said: Said[] = [];
  const count = torture ? 150 : 40;
  const members = await manyMembers(deps, { programId: of.programId, count });
  const shopping = Promise.all(members.map((memberId, n) => shop(of.ask, { n, memberId, said })));
  shopping.catch(() => {}); // told below
  await until(() => said.length >= of.enough);
  await of.fault();
  await shopping;
  expect(said).toHaveLength(count * 6);
  return said;
}

const AWARD = `mutation ($input: AwardPointsInput!) { answer: awardPoints(input: $input) {
  ... on AwardPointsSuccess { made: batch { id } } ... on Refusal { reason } } }`;
const SPEND = `mutation ($input: SpendPointsInput!) { answer: spendPoints(input: $input) {
  ... on SpendPointsSuccess { made: spend { id } } ... on Refusal { reason } } }`;

test('SIGKILL of one of two API processes: what was acknowledged is there exactly once', {
  timeout,
}, async () => {
  const deps = await testDeps();
  const { programId, secretKey } = await aCappedProgram(deps);
  const start = () => startApiProcess(deps.config.databaseUrl);
  const pair = await Promise.all([start(), start()]);
  const ask: Ask = async (n, { kind, memberId, points, key }) => {
    const input =
      kind === 'award'
        ? { memberId, source: 'SHOPIFY', orderId: key, amount: points }
        : { memberId, points, idempotencyKey: key };
    const document = kind === 'award' ? AWARD : SPEND;
    const { answer } = await (pair[n % 2] as ApiProcess).data(secretKey, document, { input });
    if (!answer.made) throw new Error(answer.reason);
    return answer.made.id;
  };
  const dice = luck('ledger kill');
  try {
    for (let round = rounds(1, 10); round > 0; round--) {
      const doomed = dice.below(2);
      const fault = () => (pair[doomed] as ApiProcess).end('SIGKILL');
      const enough = 20 + dice.below(150);
      const said = await underLoad(deps, { programId, ask, enough, fault });
      await expectKept(deps, { programId, said });
      if (round > 1) pair[doomed] = await start();
    }
  } finally {
    for (const one of pair) await one.end('SIGKILL');
  }
});

test('SIGKILL of PostgreSQL: what was acknowledged is there exactly once', {
  timeout,
}, async () => {
  const home = await temporaryHome();
  const postgres = await ownPostgres(home.folder);
  try {
    await migrate(postgres.url());
    const open = async () => {
      const databaseUrl = postgres.url();
      return [await testDeps({ databaseUrl }), await testDeps({ databaseUrl })] as const;
    };
    let pair = await open();
    const { programId } = await aCappedProgram(pair[0]);
    const ask: Ask = async (n, step) => idOf(await go(pair[n % 2 ? 1 : 0], { programId, step }));
    for (let round = rounds(1, 10); round > 0; round--) {
      const fault = async () => {
        await postgres.kill();
        await postgres.restart();
        const before = pair;
        pair = await open();
        for (const deps of before) await deps.close();
      };
      const enough = 20 + luck(`postgres ${round}`).below(150);
      const said = await underLoad(pair[0], { programId, ask, enough, fault });
      await expectKept(pair[0], { programId, said });
    }
    for (const deps of pair) await deps.close();
  } finally {
    await postgres.stop();
    await home.remove();
  }
});

async function go(deps: Deps, { programId, step }: { programId: ProgramId; step: Step }) {
  const { kind, memberId, points, key } = step;
  if (kind === 'spend')
    return spendPoints(deps, { programId, memberId, points, idempotencyKey: key });
  const purchase = { source: 'SHOPIFY', orderId: key, generation: 1, amount: points };
  return awardPoints(deps, { programId, memberId, ...purchase });
}

function idOf(answer: Awarded | Spent | Refused): string {
  if (!answer.ok) throw new Error(answer.reason);
  return 'batch' in answer ? answer.batch.id : answer.spend.id;
}

describe('the Redis of the cap, during a load of awards', async () => {
  const home = await temporaryHome();
  const redis = await ownRedis(home.folder);
  const left = await testDeps({ config: { redisUrl: redis.url } });
  const { databaseUrl } = left.config;
  const right = await testDeps({ databaseUrl, config: { redisUrl: redis.url } });
  afterAll(async () => {
    await redis.stop();
    await home.remove();
  });

  type Load = { programId: ProgramId; withheld: number; awarded: number; begun: Promise<void> };

  /** Eight awards of 20 on one day: the last of them waits until the fault has come. */
  async function buy(load: Load, of: { n: number; memberId: MemberId; occurredAt: Date }) {
    const { programId } = load;
    for (let toGo = 8; toGo > 0; toGo--) {
      if (toGo === 1) await load.begun;
      const orderId = unique('order');
      const purchase = { source: 'SHOPIFY', orderId, generation: 1, amount: 20 };
      const { n, ...who } = of;
      for (let tries = n; ; tries++) {
        const deps = tries % 2 ? right : left;
        const answer = await awardPoints(deps, { programId, ...who, ...purchase });
        if (answer.ok) {
          expect(answer.alreadyAwarded).toBe(false);
          break;
        }
        expect(answer.reason).toBe('CAP_TRACKER_UNAVAILABLE');
        expect(await left.db.ledgerBatch.count({ where: { programId, orderId } })).toBe(0);
        load.withheld += 1;
      }
      load.awarded += 1;
    }
  }

  type Fault = { name: string; harm: (of: OwnRedis) => unknown; mend: (of: OwnRedis) => unknown };
  const faults: (Fault & { withholds: boolean })[] = [
    {
      name: 'frozen (SIGSTOP)',
      harm: (of) => of.freeze(),
      mend: (of) => of.thaw(),
      withholds: true,
    },
    { name: 'flushed', harm: (of) => of.flush(), mend: (of) => of.flush(), withholds: false },
    { name: 'killed', harm: (of) => of.kill(), mend: (of) => of.restart(), withholds: true },
  ];

  test.each(faults)(
    '$name: withheld or awarded once, and nobody is over the cap on any day',
    {
      timeout,
    },
    async ({ harm, mend, withholds, name }) => {
      for (let round = rounds(1, 10); round > 0; round--) {
        const { programId } = await aCappedProgram(left);
        const members = await manyMembers(left, { programId, count: 10 });
        let begin = () => {};
        const begun = new Promise<void>((resolve) => {
          begin = resolve;
        });
        const load: Load = { programId, withheld: 0, awarded: 0, begun };
        const days = [NOON, new Date(NOON.getTime() - DAY)];
        const buyers = members.flatMap((memberId, n) =>
          days.map((occurredAt) => buy(load, { n, memberId, occurredAt })),
        );
        await until(() => load.awarded >= 10 + luck(`${name} ${round}`).below(100));
        await harm(redis);
        begin();
        if (withholds) await until(() => load.withheld >= 30);
        await mend(redis);
        await Promise.all(buyers);
        await expectCapped(programId, members.length * days.length);
      }
    },
  );

  /** Every order has one lot, and each day of each member exactly what the cap lets through. */
  async function expectCapped(programId: ProgramId, days: number) {
    const totals = await left.db.ledgerBatch.groupBy({
      by: ['memberId', 'day'],
      where: { programId },
      _sum: { points: true },
      _count: { orderId: true },
    });
    expect(totals).toHaveLength(days);
    for (const total of totals)
      expect(total).toMatchObject({ _sum: { points: BigInt(CAP) }, _count: { orderId: 8 } });
    expect(await reconcilePoints(left, { programId })).toEqual([]);
  }
});
