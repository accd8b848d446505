/** The program of a first start with embedded servers: one member, and one pool that issues. */
import type { Deps } from '../../src/deps.ts';
import type { MemberId, PoolId, ProgramId } from '../../src/kernel/ids.ts';
import { aMember, aPool, aProgram } from './factories.ts';

export type Sandbox = {
  programId: ProgramId;
  secretKey: string;
  memberId: MemberId;
  poolId: PoolId;
};

export async function aSandbox(deps: Deps): Promise<Sandbox> {
  const { programId, secretKey } = await aProgram(deps);
  const member = await aMember(deps, { programId, externalId: 'ada' });
  const input = { name: 'Welcome 10 %' };
  const pool = await aPool(deps, { programId, codes: 100, input });
  return { programId, secretKey, memberId: member.id, poolId: pool.id };
}
