import type { Deps } from '../deps.ts';
import { inTransaction } from '../kernel/db.ts';
import { wakeFleet } from '../kernel/wake-up.ts';
import { getCampaign } from './campaigns.ts';
import { CAMPAIGN_RUN, type Campaign, type CampaignRef } from './types.ts';

/**
 * Begins to give a code to each recipient that has none, in the background; those who were refused
 * before are tried again.
 *
 * Locks: the campaign's row.
 * Refusals: none; NOT_FOUND.
 * A retry changes nothing while it is ISSUING, nor when everybody has a code.
 * Events: none; campaign.issued when it is through.
 */
export async function issueCampaign(deps: Deps, ref: CampaignRef): Promise<Campaign> {
  const { programId, campaignId } = ref;
  return inTransaction(deps, async (tx) => {
    const begun = await tx.$executeRaw`
      UPDATE campaigns SET status = 'ISSUING', issued_up_to = NULL
      WHERE program_id = ${programId}::uuid AND id = ${campaignId}::uuid
        AND status IN ('DRAFT', 'FAILED')`;
    const campaign = await getCampaign(tx, { ...ref, field: 'id' });
    if (begun === 1) await wakeFleet(tx, { task: CAMPAIGN_RUN, programId, id: campaignId });
    return campaign;
  });
}
