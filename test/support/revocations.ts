/** Codes that are taken back, by a command or within a session's own transaction. */
import { type RevokeCodes, revokeCodes } from '../../src/coupons/index.ts';
import type { Deps } from '../../src/deps.ts';
import type { ProgramId } from '../../src/kernel/ids.ts';
import { unique } from './factories.ts';
import type { Session } from './sessions.ts';

type Of = Pick<RevokeCodes, 'programId'> & Partial<RevokeCodes>;

export const revokeAll = (deps: Deps, of: Of) =>
  revokeCodes(deps, { reason: 'x', replace: false, idempotencyKey: unique('key'), ...of });

type PageOf = { programId: ProgramId; campaignId?: string; poolId?: string; replace?: boolean };

/** One page, which holds its locks until the session commits. */
export async function revokePage(by: Session, of: PageOf) {
  const { programId, poolId = null, campaignId = null, replace = false } = of;
  const id = crypto.randomUUID();
  await by.query(
    `INSERT INTO revocations (program_id, id, pool_id, campaign_id, reason, replace, created_at)
     VALUES ($1, $2, $3, $4, 'x', $5, now())`,
    [programId, id, poolId, campaignId, replace],
  );
  await by.query('SELECT revoke_codes($1, $2, 1000)', [programId, id]);
}
