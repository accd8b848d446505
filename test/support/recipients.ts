/** Somebody of a campaign, and codes that are issued to them without being handed out. */
import { claimCodesSql } from '../../src/coupons/sql/claim-codes.ts';
import type { Deps } from '../../src/deps.ts';
import { newId, newIds, type ProgramId, type RecipientId } from '../../src/kernel/ids.ts';
import { unique } from './factories.ts';

export type Named = { email: string } | { memberId: string };

/** A campaign for the pool, with these recipients; answers their ids, in order. */
export async function aCampaign(
  deps: Deps,
  of: { programId: ProgramId; poolId: string; recipients: Named[] },
): Promise<{ campaignId: string; recipients: RecipientId[] }> {
  const { programId, poolId } = of;
  const campaignId = newId<string>(deps);
  const ids = newIds<RecipientId>(deps, of.recipients.length);
  await deps.db.campaign.create({
    data: {
      ...{ programId, poolId, id: campaignId, name: unique('Campaign'), status: 'DRAFT' },
      ...{ recipients: ids.length, createdAt: deps.clock.now() },
    },
  });
  await deps.db.campaignRecipient.createMany({
    data: of.recipients.map((named, i) => ({
      ...{ programId, campaignId, id: ids[i] as string },
      ...named,
    })),
  });
  return { campaignId, recipients: ids };
}

/** As a campaign does it: the code is the recipient's, and nobody has seen its text. */
export async function issue(
  deps: Deps,
  to: { programId: ProgramId; poolId: string; recipientId: string },
): Promise<string> {
  const { programId, poolId, recipientId } = to;
  const item = { poolId, recipientId, memberId: undefined, email: undefined, claimKey: '' };
  const items = [{ ...item, actor: undefined }];
  const [answer] = await claimCodesSql(deps.db, { programId, items, after: {} });
  if (!answer?.code) throw new Error(`not issued: ${answer?.outcome}`);
  return answer.code.id;
}
