/** One program and short names for what earns, spends and takes back points in it. */
import type { Deps } from '../../src/deps.ts';
import type { MemberId, SpendId } from '../../src/kernel/ids.ts';
import {
  awardPoints,
  grantPoints,
  pointsOfMembers,
  quotePoints,
  refundSpend,
  reverseAward,
  spendPoints,
} from '../../src/loyalty/index.ts';
import {
  advanceClock,
  type ProgramInput,
  type SettingsInput,
  updateProgram,
} from '../../src/programs/index.ts';
import { advanceClock as advanceDays, reconcile, runWorker } from '../../src/workers/index.ts';
import { aMember, aProgram, unique } from './factories.ts';

export const NOON = new Date('2021-01-01T12:00:00.000Z');
export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** Ranks that nobody reaches by earning, so that a multiplier stays what a test made it. */
export const LADDER = [0, 1e12, 2e12, 3e12].map((points, rank) => ({
  name: `Rank ${rank + 1}`,
  qualifyPoints: points,
  maintainPoints: 0,
  multiplier: [10_000, 12_500, 15_000, 20_000][rank] as number,
}));

type Of = Partial<Omit<ProgramInput, 'settings'>> & { settings?: SettingsInput };
type Bought = { source?: string; generation?: number; occurredAt?: Date };

export type Ledger = Awaited<ReturnType<typeof openLedger>>;

export async function openLedger(deps: Deps, { settings = {}, ...program }: Of = {}) {
  const { programId, secretKey } = await aProgram(deps, {
    clock: NOON,
    tiers: LADDER,
    ...program,
    settings: { baseRate: '100', ...settings }, // so that a cent is a point
  } as Of);
  const where = { programId };
  return {
    programId,
    secretKey,
    member: async (rank = 1): Promise<MemberId> => {
      const { id } = await aMember(deps, { programId });
      if (rank > 1)
        await deps.db.$queryRaw`
          SELECT change_tiers(p, ARRAY[${id}::uuid], ARRAY[${rank}::int], 'QUALIFIED',
            day_of(p.id, program_now(p.id)), program_now(p.id))::text
          FROM programs p WHERE p.id = ${programId}::uuid`;
      return id;
    },
    award: (memberId: MemberId, orderId: string, bought: Bought & { amount: number }) =>
      awardPoints(deps, {
        programId,
        memberId,
        orderId,
        source: 'SHOPIFY',
        generation: 1,
        ...bought,
      }),
    /** The lot of an award that is expected to be given. */
    lot: async (memberId: MemberId, amount: number, bought: Bought & { orderId?: string } = {}) => {
      const { orderId = unique('order'), ...more } = bought;
      const said = { programId, memberId, orderId, source: 'SHOPIFY', generation: 1, amount };
      const answer = await awardPoints(deps, { ...said, ...more });
      if (!answer.ok) throw new Error(answer.reason);
      return answer.batch;
    },
    spend: (memberId: MemberId, points: number, idempotencyKey = unique('spend')) =>
      spendPoints(deps, { programId, memberId, points, idempotencyKey }),
    spent: async (memberId: MemberId, points: number): Promise<SpendId> => {
      const idempotencyKey = unique('spend');
      const answer = await spendPoints(deps, { programId, memberId, points, idempotencyKey });
      if (!answer.ok) throw new Error(answer.reason);
      return answer.spend.id as SpendId;
    },
    refund: (spendId: SpendId, points: number, idempotencyKey = unique('refund')) =>
      refundSpend(deps, { programId, spendId, points, idempotencyKey }),
    reverse: (
      orderId: string,
      amount: number,
      by: Partial<Parameters<typeof reverseAward>[1]> = {},
    ) =>
      reverseAward(deps, {
        ...{ programId, orderId, amount, source: 'SHOPIFY', generation: 1 },
        refundId: unique('back'),
        ...by,
      }),
    grant: (memberId: MemberId, points: number, by: { key?: string; expiresAt?: Date } = {}) =>
      grantPoints(deps, {
        ...{ programId, memberId, points, reason: 'a gift', expiresAt: by.expiresAt },
        idempotencyKey: by.key ?? unique('grant'),
      }),
    quote: (memberId: MemberId, amount: number) =>
      quotePoints(deps, { programId, memberId, source: 'SHOPIFY', amount }),
    set: (settings: SettingsInput) => updateProgram(deps, { programId, settings }),
    /** The clock alone. */
    tick: (to: Date) => advanceClock(deps, { programId, to }),
    /** The clock with the work of the days that it passes. */
    advance: (to: Date) => advanceDays(deps, { programId, to }),
    /** What has expired as of the start of today; answers for how many members something had. */
    sweep: async () => (await runWorker(deps, { programId, task: 'EXPIRE_POINTS' })).changed,
    find: (id: string) =>
      deps.db.ledgerBatch.findUniqueOrThrow({ where: { programId_id: { programId, id } } }),
    lots: () => deps.db.ledgerBatch.findMany({ where, orderBy: { sequence: 'asc' } }),
    draws: (spendId: string) =>
      deps.db.consumptionAllocation.findMany({
        where: { programId, spendId },
        orderBy: { position: 'asc' },
      }),
    journal: async (memberId: MemberId) => {
      const entries = await deps.db.ledgerEntry.findMany({
        where: { programId, memberId },
        orderBy: { id: 'asc' },
      });
      return entries.map((entry) => `${entry.kind} ${entry.points} = ${entry.balanceAfter}`);
    },
    /** What was told of points, in the order in which it was written. */
    events: async () => {
      const ofPoints = { ...where, type: { startsWith: 'points.' } };
      const events = await deps.db.event.findMany({ where: ofPoints, orderBy: { id: 'asc' } });
      return events.map((event) => event.type);
    },
    points: async (memberId: MemberId) => {
      const [points] = await pointsOfMembers(deps, { programId, ids: [memberId] });
      const { debt, outstanding } = await deps.db.member.findUniqueOrThrow({
        where: { programId_id: { programId, id: memberId } },
      });
      const { balance = 0n, pending = 0n } = points ?? {};
      return [balance, pending, debt, outstanding].map(Number);
    },
    differences: async () => (await reconcile(deps, { programId })).differences,
  };
}
