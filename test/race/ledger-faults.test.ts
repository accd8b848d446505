/** Servers killed, frozen and flushed in the middle of a load on the ledger. */
import { afterAll, describe, expect, test } from 'vitest';
import { REDIS_PATIENCE } from '../../src/config.ts';
import type { MemberId, ProgramId } from '../../src/kernel/ids.ts';
import { migrate } from '../../src/kernel/migrate.ts';
import { awardPoints, reconcilePoints, spendPoints } from '../../src/loyalty/index.ts';
import { type ApiProcess, startApiProcess } from '../support/api-processes.ts';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { temporaryHome } from '../support/home.ts';
import { DAY, NOON } from '../support/ledger.ts';
import {
  aCappedProgram,
  CAP,
  expectKept,
  type Load,
  type Step,
  takenBy,
  underLoad,
  until,
} from '../support/ledger-load.ts';
import { type OwnRedis, ownPostgres, ownRedis } from '../support/own-servers.ts';
import { manyMembers } from '../support/scenes.ts';
import { luck, PATIENCE, rounds } from '../support/torture.ts';

const answering = (call: string, input: string) =>
  `mutation ($input: ${input}!) { answer: ${call}(input: $input)`;
/** Each kind of step as a client says it, and by what its answer is known. */
type Saying = {
  document: string;
  input: (step: Step) => object;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the document asks for.
  made: (answer: any, step: Step) => string;
};
const SAYINGS: Record<Step['kind'], Saying> = {
  grant: {
    document: `${answering('grantPoints', 'GrantPointsInput')} { id } }`,
    input: ({ memberId, points, key, expiresAt }) => {
      return { memberId, points, expiresAt, idempotencyKey: key, reason: 'a gift' };
    },
    made: ({ id }) => id,
  },
  award: {
    document: `${answering('awardPoints', 'AwardPointsInput')} {
      ... on AwardPointsSuccess { batch { id } } ... on Refusal { reason } } }`,
    input: ({ memberId, points, key }) => {
      return { memberId, source: 'SHOPIFY', orderId: key, amount: points };
    },
    made: ({ batch }) => batch.id,
  },
  spend: {
    document: `${answering('spendPoints', 'SpendPointsInput')} {
      ... on SpendPointsSuccess { spend { id } } ... on Refusal { reason } } }`,
    input: ({ memberId, points, key }) => ({ memberId, points, idempotencyKey: key }),
    made: ({ spend }) => spend.id,
  },
  reverse: {
    document: `${answering('reverseAward', 'ReverseAwardInput')} { reversed } }`,
    input: ({ points, key, of }) => {
      return { source: 'SHOPIFY', orderId: of, refundId: key, amount: points };
    },
    made: (_, { points }) => String(points),
  },
  refund: {
    document: `${answering('refundSpend', 'RefundSpendInput')} { id refunded } }`,
    input: ({ points, key, of }) => ({ spendId: of, points, idempotencyKey: key }),
    made: ({ id, refunded }) => `${id} ${refunded}`,
  },
};

test(
  'SIGKILL of one of two API processes: what was acknowledged is there exactly once',
  PATIENCE,
  async () => {
    const deps = await testDeps();
    const { programId, secretKey } = await aCappedProgram(deps);
    const start = () => startApiProcess(deps.config.databaseUrl);
    const pair = await Promise.all([start(), start()]);
    const take = async (n: number, step: Step) => {
      const { document, input, made } = SAYINGS[step.kind];
      const process = pair[n % 2] as ApiProcess;
      const { answer } = await process.data(secretKey, document, { input: input(step) });
      if (answer.reason) throw new Error(answer.reason);
      return made(answer, step);
    };
    const load: Load = { programId, take, sweeper: () => deps, now: NOON, said: [] };
    const dice = luck('ledger kill');
    try {
      for (let round = rounds(1, 20); round > 0; round--) {
        const doomed = dice.below(2);
        const fault = () => (pair[doomed] as ApiProcess).end('SIGKILL');
        await underLoad(deps, load, { dice, fault });
        await expectKept(deps, load);
        if (round > 1) pair[doomed] = await start();
      }
    } finally {
      for (const one of pair) await one.end('SIGKILL');
    }
  },
);

test('SIGKILL of PostgreSQL: what was acknowledged is there exactly once', PATIENCE, async () => {
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
    const take = takenBy((n) => pair[n % 2 ? 1 : 0], programId);
    const load: Load = { programId, take, sweeper: () => pair[0], now: NOON, said: [] };
    const dice = luck('ledger kill of PostgreSQL');
    for (let round = rounds(1, 20); round > 0; round--) {
      const fault = async () => {
        await postgres.kill();
        await postgres.restart();
        const before = pair;
        pair = await open();
        for (const deps of before) await deps.close();
      };
      await underLoad(pair[0], load, { dice, fault });
      await expectKept(pair[0], load);
    }
    for (const deps of pair) await deps.close();
  } finally {
    await postgres.stop();
    await home.remove();
  }
});

describe('the Redis of the cap, during a load of awards', async () => {
  const home = await temporaryHome();
  const redis = await ownRedis(home.folder);
  const config = { ...REDIS_PATIENCE, redisUrl: redis.url };
  const left = await testDeps({ config });
  const { databaseUrl } = left.config;
  const right = await testDeps({ databaseUrl, config });
  afterAll(async () => {
    await redis.stop();
    await home.remove();
  });

  type Buying = { programId: ProgramId; withheld: number; awarded: number; begun: Promise<void> };

  /** Eight awards of 20 on one day, the last of which waits for the fault; five spends of 20. */
  async function buy(load: Buying, of: { n: number; memberId: MemberId; occurredAt: Date }) {
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
        if (answer.reason === 'BUSY') continue;
        expect(answer.reason).toBe('CAP_TRACKER_UNAVAILABLE');
        expect(await left.db.ledgerBatch.count({ where: { programId, orderId } })).toBe(0);
        load.withheld += 1;
      }
      load.awarded += 1;
      if (toGo > 3) await spend20(load, who.memberId);
    }
  }

  /** A spend asks no tracker: it goes through whatever becomes of Redis. */
  async function spend20({ programId }: Buying, memberId: MemberId) {
    const spend = { programId, memberId, points: 20, idempotencyKey: unique('spend') };
    for (;;) {
      const answer = await spendPoints(left, spend);
      if (answer.ok) return;
      expect(answer.reason).toBe('BUSY');
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
    PATIENCE,
    async ({ harm, mend, withholds, name }) => {
      for (let round = rounds(1, 10); round > 0; round--) {
        const { programId } = await aCappedProgram(left);
        const members = await manyMembers(left, { programId, count: 10 });
        let begin = () => {};
        const begun = new Promise<void>((resolve) => {
          begin = resolve;
        });
        const load: Buying = { programId, withheld: 0, awarded: 0, begun };
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
