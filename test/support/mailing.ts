/** One program, and short names for what a campaign does in it. */
import { activatePool, generateCodes, revokeCode } from '../../src/coupons/index.ts';
import type { Deps } from '../../src/deps.ts';
import type { CampaignId, CodeId, PoolId, RecipientId } from '../../src/kernel/ids.ts';
import {
  type AudienceInput,
  addAudience,
  addRecipients,
  campaignById,
  createCampaign,
  issueCampaign,
  type RecipientInput,
  runCampaign,
} from '../../src/marketing/index.ts';
import { unique } from './factories.ts';
import { openShop } from './shop.ts';

export async function openMailing(deps: Deps, of?: Awaited<ReturnType<typeof openShop>>) {
  const shop = of ?? (await openShop(deps));
  const { programId } = shop;
  const ref = (id: string) => ({ programId, campaignId: id as CampaignId });
  const campaign = async (id: string) => {
    const found = await campaignById(deps, { programId, id });
    if (!found) throw new Error('no such campaign');
    return found;
  };
  const create = (poolId: string, recipients: RecipientInput[] = [], idempotencyKey?: string) =>
    createCampaign(deps, {
      programId,
      input: { name: unique('Campaign'), poolId, recipients, idempotencyKey },
    });
  /** What the fleet does with it, to the end. */
  const run = (id: string, mayGoOn = () => true) => runCampaign(deps, { ...ref(id), mayGoOn });
  return {
    ...shop,
    campaign,
    create,
    run,
    add: (id: string, recipients: RecipientInput[]) =>
      addRecipients(deps, { ...ref(id), recipients }),
    addAudience: (id: string, audience: Partial<AudienceInput> = {}) =>
      addAudience(deps, {
        ...ref(id),
        audience: { withoutCodeOfPool: true, ...audience },
        isGone: () => false,
      }),
    begin: (id: string) => issueCampaign(deps, ref(id)),
    issue: async (id: string) => {
      await issueCampaign(deps, ref(id));
      await run(id);
      return campaign(id);
    },
    grow: (poolId: string, count: number) =>
      generateCodes(deps, { programId, poolId: poolId as PoolId, count }),
    activate: (poolId: string) => activatePool(deps, { programId, poolId: poolId as PoolId }),
    revoke: (codeId: string) =>
      revokeCode(deps, { programId, codeId: codeId as CodeId, reason: 'a test' }),
    recipients: (id: string) =>
      deps.db.campaignRecipient.findMany({
        where: { programId, campaignId: id },
        orderBy: { id: 'asc' },
      }),
    claimAs: (poolId: string, recipientId: string) =>
      shop.claimed(poolId, { recipientId: recipientId as RecipientId }),
  };
}
