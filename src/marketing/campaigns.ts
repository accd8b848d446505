import type { Deps } from '../deps.ts';
import type { Db } from '../kernel/db.ts';
import { notFound } from '../kernel/errors.ts';
import { type ProgramId, parseId } from '../kernel/ids.ts';
import { type Connection, type PageArgs, readPage, toConnection } from '../kernel/page.ts';
import type { Campaign, CampaignRecipient, CampaignRef } from './types.ts';

/** Throws NOT_FOUND; `field` is where the id was given. */
export async function getCampaign(
  db: Pick<Db, 'campaign'>,
  { programId, campaignId, field = 'campaignId' }: CampaignRef & { field?: string },
): Promise<Campaign> {
  const where = { programId_id: { programId, id: campaignId } };
  const campaign = await db.campaign.findUnique({ where });
  if (!campaign) throw notFound(field, 'campaign');
  return campaign;
}

export async function campaignById(
  deps: Deps,
  of: { programId: ProgramId; id: string },
): Promise<Campaign | null> {
  const id = parseId(of.id);
  if (!id) return null;
  return deps.db.campaign.findUnique({ where: { programId_id: { programId: of.programId, id } } });
}

export async function listCampaigns(
  deps: Deps,
  args: PageArgs & { programId: ProgramId },
): Promise<Connection<Campaign>> {
  const { take, afterId } = readPage(args);
  const rows = await deps.db.campaign.findMany({
    where: { programId: args.programId, ...(afterId ? { id: { gt: afterId } } : {}) },
    orderBy: { id: 'asc' },
    take,
  });
  return toConnection(rows, args);
}

export async function listRecipients(
  deps: Deps,
  args: PageArgs & CampaignRef,
): Promise<Connection<CampaignRecipient>> {
  const { take, afterId } = readPage(args);
  const { programId, campaignId } = args;
  const rows = await deps.db.campaignRecipient.findMany({
    where: { programId, campaignId, ...(afterId ? { id: { gt: afterId } } : {}) },
    orderBy: { id: 'asc' },
    take,
  });
  return toConnection(rows, args);
}
