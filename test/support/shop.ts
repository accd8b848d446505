/** One program and short names for what a storefront does in it. */
import {
  type Claim,
  type Claimed,
  claimCode,
  type PoolInput,
  type Redeem,
  type Redeemed,
  type Refused,
  type Reserve,
  type Reserved,
  redeemCode,
  releaseCode,
  reserveCode,
} from '../../src/coupons/index.ts';
import type { Deps } from '../../src/deps.ts';
import type { MemberId, PoolId, ProgramId } from '../../src/kernel/ids.ts';
import { upsertMember } from '../../src/members/index.ts';
import { advanceClock } from '../../src/programs/index.ts';
import { aMember, aPool, aProgram } from './factories.ts';
import { refusal } from './unchanged.ts';

export type Who = Pick<Claim, 'memberId' | 'email' | 'recipientId' | 'claimKey'>;
type By = Partial<Pick<Redeem, 'orderAmount' | 'asker'>>;
type Answer = { ok: true } | Refused;

export const START = new Date('2021-01-01T12:00:00.000Z');
export const after = (ms: number): Date => new Date(START.getTime() + ms);

export type Shop = Awaited<ReturnType<typeof openShop>>;

/** In a program of its own, unless there is one already. */
export async function openShop(deps: Deps, known?: { programId: ProgramId }) {
  const { programId } = known ?? (await aProgram(deps, { clock: START }));
  const asker = { kind: 'merchant' } as const;
  const claim = (poolId: string, who: Who): Promise<Claimed | Refused> =>
    claimCode(deps, { programId, poolId: poolId as PoolId, actor: 'key:shop', ...who });
  const redeem = (code: string, orderId: string, by: By = {}): Promise<Redeemed | Refused> =>
    redeemCode(deps, { programId, code, orderId, orderAmount: 10_000, asker, ...by });
  const reserve = (
    code: string,
    orderId: string,
    by: Partial<Reserve> = {},
  ): Promise<Reserved | Refused> =>
    reserveCode(deps, { programId, code, orderId, ttlSeconds: 900, asker, ...by });
  return {
    programId,
    claim,
    redeem,
    reserve,
    claimed: async (poolId: string, who: Who) => granted(await claim(poolId, who)),
    redeemed: async (code: string, orderId: string, by?: By) =>
      granted(await redeem(code, orderId, by)),
    release: (code: string, orderId: string, by: By = {}) =>
      releaseCode(deps, { programId, code, orderId, asker: by.asker ?? asker }),
    pool: (codes: number, input: Partial<PoolInput> = {}) =>
      aPool(deps, { programId, codes, input }),
    draft: (codes: number, input: Partial<PoolInput> = {}) =>
      aPool(deps, { programId, codes, input, draft: true }),
    member: (contact: { email?: string; emailVerified?: boolean } = {}) =>
      aMember(deps, { programId, ...contact }),
    verify: (externalId: string, email: string) =>
      upsertMember(deps, { programId, input: { externalId, email, emailVerified: true } }),
    /** So many milliseconds after the program was made. */
    clockAt: (ms: number) => advanceClock(deps, { programId, to: after(ms) }),
    /** The reason of a refusal, which changed nothing. */
    refused: (work: () => Promise<Answer>): Promise<string> => refusal(deps.db, work),
    code: (id: string) =>
      deps.db.code.findUniqueOrThrow({ where: { programId_id: { programId, id } } }),
    claims: (poolId: string) => deps.db.claim.count({ where: { programId, poolId } }),
    count: (poolId: string, status: 'AVAILABLE' | 'ALLOCATED' | 'REDEEMED' | 'REVOKED') =>
      deps.db.code.count({ where: { programId, poolId, status } }),
  };
}

export const asMember = (memberId: MemberId, address = '192.0.2.1'): Redeem['asker'] => ({
  kind: 'member',
  memberId,
  address,
});

function granted<T extends { ok: true }>(answer: T | Refused): T {
  if (!answer.ok) throw new Error(`refused: ${answer.reason}`);
  return answer;
}
