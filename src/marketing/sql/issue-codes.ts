import { type Db, retrying } from '../../kernel/db.ts';
import type { CampaignRef } from '../types.ts';

/** `poolId`: of the code, or of the pool that somebody is to mint for. */
export type Issued = {
  recipient: string;
  outcome: string;
  poolId: string | null;
  codeId: string | null;
};

type Of = CampaignRef & { recipients: readonly string[]; after: Record<string, string> };

/** See prisma/functions/issue_codes.sql. `after`: by pool, the code that was taken last. */
export const issueCodesSql = ({ db }: { db: Db }, of: Of): Promise<Issued[]> =>
  retrying(
    () => db.$queryRaw<Issued[]>`
      SELECT recipient::text, outcome, pool::text AS "poolId", code::text AS "codeId"
      FROM issue_codes(${of.programId}::uuid, ${of.campaignId}::uuid,
        ${of.recipients}::uuid[], ${JSON.stringify(of.after)}::jsonb)`,
  );
