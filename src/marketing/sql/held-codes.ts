import { type Code, type CodeRow, toCode } from '../../coupons/index.ts';
import type { Db } from '../../kernel/db.ts';

/** Who has a code, and what is known of the member, where it is one. */
export type Holder = {
  recipientId: string;
  /** The address that was given. */
  named: string | null;
  member: { id: string; externalId: string; email: string | null; emailVerified: boolean } | null;
  code: Code;
};

type PageOf = { programId: string; campaignId: string; after: string | null; limit: number };
type HolderRow = CodeRow &
  Record<'recipientId' | 'memberId' | 'externalId', string> & {
    named: string | null;
    address: string | null;
    verified: boolean;
  };

/**
 * The next recipients with a code that can be used or was. One statement, so that recipient and
 * code are of one moment: read one after the other, the code could have gone back to its pool in
 * between, and be free, or somebody else's. A code whose owner has left the address that was given
 * is not for whoever has that address now: it waits in its owner's wallet.
 */
export async function readHolders({ db }: { db: Db }, of: PageOf): Promise<Holder[]> {
  const { programId, campaignId, after, limit } = of;
  const rows = await db.$queryRaw<HolderRow[]>`
    SELECT c.*, r.id::text AS "recipientId", r.email AS named, m.id::text AS "memberId",
      m.external_id AS "externalId", m.email AS address, m.email_verified AS verified
    FROM campaign_recipients r
    JOIN codes c ON c.program_id = r.program_id AND c.id = r.code_id
    LEFT JOIN members m ON m.program_id = r.program_id AND m.id = r.member_id
    WHERE r.program_id = ${programId}::uuid AND r.campaign_id = ${campaignId}::uuid
      AND (${after}::uuid IS NULL OR r.id > ${after}::uuid)
      AND c.status IN ('ALLOCATED', 'REDEEMED')
      AND (r.email IS NULL OR c.member_id IS NULL OR EXISTS (
        SELECT FROM members o WHERE o.program_id = c.program_id AND o.id = c.member_id
          AND o.email = r.email AND o.email_verified))
    ORDER BY r.id LIMIT ${limit}::int`;
  return rows.map((row) => ({
    recipientId: row.recipientId,
    named: row.named,
    member: row.memberId
      ? {
          id: row.memberId,
          externalId: row.externalId,
          email: row.address,
          emailVerified: row.verified,
        }
      : null,
    code: toCode(row),
  }));
}

type Of = { programId: string; ids: readonly string[] };

/** What each recipient has, at one moment as well. */
export async function codesOfRecipients(
  { db }: { db: Db },
  { programId, ids }: Of,
): Promise<(Code | null)[]> {
  const rows = await db.$queryRaw<(CodeRow & { recipientId: string })[]>`
    SELECT c.*, r.id::text AS "recipientId" FROM campaign_recipients r
    JOIN codes c ON c.program_id = r.program_id AND c.id = r.code_id
    WHERE r.program_id = ${programId}::uuid AND r.id = ANY (${[...ids]}::uuid[])`;
  const codes = new Map(rows.map((row) => [row.recipientId, toCode(row)]));
  return ids.map((id) => codes.get(id) ?? null);
}
