import { type Db, retrying } from '../../kernel/db.ts';
import type { CampaignRef } from '../types.ts';

/** Who is to be asked for again; without a recipient, the code that was taken last. */
export type Issued =
  | { recipient: string; outcome: 'AGAIN'; poolId: null; codeId: null }
  | { recipient: string; outcome: 'TOP_UP'; poolId: string; codeId: null }
  | { recipient: null; outcome: 'CLAIMED'; poolId: string; codeId: string };

type Of = CampaignRef & { recipients: readonly string[]; after: Record<string, string> };

/** See prisma/functions/issue_codes.sql. `after`: by pool, the code that was taken last. */
export const issueCodesSql = ({ db }: { db: Db }, of: Of): Promise<Issued[]> =>
  retrying(
    () => db.$queryRaw<Issued[]>`
      SELECT recipient::text, outcome, pool::text AS "poolId", code::text AS "codeId"
      FROM issue_codes(${of.programId}::uuid, ${of.campaignId}::uuid,
        ${of.recipients}::uuid[], ${JSON.stringify(of.after)}::jsonb)`,
  );
