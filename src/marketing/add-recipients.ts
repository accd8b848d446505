import type { Deps } from '../deps.ts';
import { inTransaction } from '../kernel/db.ts';
import { getCampaign } from './campaigns.ts';
import { addNamed, readRecipients } from './recipients.ts';
import type { Campaign, CampaignRef, RecipientInput } from './types.ts';

type Add = CampaignRef & { recipients: readonly RecipientInput[] };

/**
 * Adds up to 5,000 recipients; whom the campaign names already is not added again. One that was
 * ISSUED is a DRAFT again; one that is ISSUING goes on to the new ones.
 *
 * Locks: none but rows.
 * Refusals: none; BAD_USER_INPUT and NOT_FOUND name the field; CONFLICT beyond 1,000,000.
 * A retry adds nobody.
 * Events: none.
 */
export async function addRecipients(deps: Deps, args: Add): Promise<Campaign> {
  const { recipients, ...ref } = args;
  const named = readRecipients(recipients, 'recipients');
  return inTransaction(deps, async (tx) => {
    await getCampaign(tx, ref);
    await addNamed(tx, { deps, ...ref, named, field: 'recipients' });
    return getCampaign(tx, ref);
  });
}
