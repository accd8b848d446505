/**
 * What an embedded database begins with: a program to play with. Stands above the rooms it fills.
 */
import { activatePool, createPool, generateCodes } from './coupons/index.ts';
import type { Deps } from './deps.ts';
import type { PoolId, ProgramId } from './kernel/ids.ts';
import { upsertMember } from './members/index.ts';
import { createProgram } from './programs/index.ts';

const SANDBOX = { name: 'Sandbox', currency: 'USD', timeZone: 'UTC', sandbox: true } as const;

const ADA = { externalId: 'ada', email: 'ada@example.com', emailVerified: true } as const;

const WELCOME = {
  name: 'Welcome 10 %',
  discountKind: 'PERCENT',
  discountValue: 1_000,
  minOrderAmount: 0,
  perMemberLimit: 1,
  exhaustion: 'REFUSE',
  stackable: false,
} as const;

const CODES = 100;

/**
 * A sandbox program with the member `ada` and an active pool of 100 codes. Its secret key is
 * returned here and nowhere else.
 */
export async function seedSandbox(
  deps: Deps,
): Promise<{ programId: ProgramId; secretKey: string }> {
  const { program, secretKey } = await createProgram(deps, { input: SANDBOX });
  const programId = program.id as ProgramId;
  await upsertMember(deps, { programId, input: ADA });
  const pool = await createPool(deps, { programId, input: WELCOME });
  const poolId = pool.id as PoolId;
  await generateCodes(deps, { programId, poolId, count: CODES });
  await activatePool(deps, { programId, poolId });
  return { programId, secretKey };
}
