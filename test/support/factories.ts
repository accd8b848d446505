/**
 * What most tests begin with: a program, members, a pool with codes. All through the real commands.
 */
import {
  activatePool,
  createPool,
  generateCodes,
  type Pool,
  type PoolInput,
} from '../../src/coupons/index.ts';
import type { Deps } from '../../src/deps.ts';
import type { MemberId, PoolId, ProgramId } from '../../src/kernel/ids.ts';
import { grantPoints, type MemberRef, spendPoints } from '../../src/loyalty/index.ts';
import { type Member, upsertMember } from '../../src/members/index.ts';
import { createProgram } from '../../src/programs/index.ts';

let counter = 0;
export const unique = (name: string): string => `${name}-${++counter}`;

export const poolInput = (input: Partial<PoolInput> = {}): PoolInput => ({
  name: unique('Pool'),
  discountKind: 'PERCENT',
  discountValue: 1_000,
  minOrderAmount: 0,
  perMemberLimit: 1,
  exhaustion: 'REFUSE',
  stackable: false,
  ...input,
});

/** A sandbox program whose clock stands at noon of 1 January 2021 (UTC), unless told otherwise. */
export async function aProgram(
  deps: Deps,
  input: Partial<Parameters<typeof createProgram>[1]['input']> = {},
): Promise<{ programId: ProgramId; secretKey: string }> {
  const { program, secretKey } = await createProgram(deps, {
    input: {
      name: unique('Program'),
      currency: 'USD',
      timeZone: 'UTC',
      sandbox: true,
      clock: new Date('2021-01-01T12:00:00Z'),
      ...input,
    },
  });
  return { programId: program.id as ProgramId, secretKey };
}

export async function aMember(
  deps: Deps,
  of: { programId: ProgramId; email?: string; emailVerified?: boolean; externalId?: string },
): Promise<Member & { id: MemberId }> {
  const { programId, externalId = unique('member'), ...contact } = of;
  const member = await upsertMember(deps, { programId, input: { externalId, ...contact } });
  return member as Member & { id: MemberId };
}

/** A pool of `codes` generated codes; it is ACTIVE unless `draft`. */
export async function aPool(
  deps: Deps,
  of: { programId: ProgramId; codes: number; input?: Partial<PoolInput>; draft?: boolean },
): Promise<Pool & { id: PoolId }> {
  const { programId } = of;
  const pool = await createPool(deps, { programId, input: poolInput(of.input) });
  const poolId = pool.id as PoolId;
  for (let left = of.codes; left > 0; left -= 5_000)
    await generateCodes(deps, { programId, poolId, count: Math.min(left, 5_000) });
  if (of.draft) return pool as Pool & { id: PoolId };
  return (await activatePool(deps, { programId, poolId })) as Pool & { id: PoolId };
}

/** Ten points that were given and spent. */
export async function aSpend(deps: Deps, who: MemberRef): Promise<string> {
  const idempotencyKey = unique('spend');
  await grantPoints(deps, { ...who, points: 100, idempotencyKey, reason: 'a gift' });
  const spent = await spendPoints(deps, { ...who, points: 10, idempotencyKey });
  if (!spent.ok) throw new Error(`refused: ${spent.reason}`);
  return spent.spend.id;
}
