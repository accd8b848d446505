import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { inTransaction } from '../kernel/db.ts';
import { badInput, conflict, notFound, unavailable } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { parse, whole } from '../kernel/input.ts';
import { takeLease } from '../kernel/lease.ts';
import { listTiers } from '../programs/index.ts';
import { getCampaign } from './campaigns.ts';
import { countAdded } from './recipients.ts';
import { type Audience, addAudiencePage } from './sql/audience-page.ts';
import type { AudienceInput, Campaign, CampaignRef } from './types.ts';

// Members that one transaction looks at: tenths of a second.
const PAGE = 5_000;
const FIRST_ID = '00000000-0000-0000-0000-000000000000';
const CENTURY = 36_500;

const audienceInput = z.object({
  tierIds: z.array(z.string()).min(1, { error: 'one tier or more' }).nullish(),
  purchasedWithinDays: whole(1, CENTURY).nullish(),
  notPurchasedForDays: whole(1, CENTURY).nullish(),
  minSpent: whole(0).nullish(),
  maxSpent: whole(0).nullish(),
  withoutCodeOfPool: z.boolean(),
});

/** `isGone`: nobody waits for the answer any more. */
type Add = CampaignRef & { audience: AudienceInput; isGone(): boolean };

/**
 * Adds every member who belongs to an audience now, page by page: should it be cut short, what is
 * there stays, and the same call again adds the rest. It is cut short when whoever asked has hung
 * up; and a campaign is added one audience at a time, so that whoever asks over and over waits for
 * one and not for all.
 *
 * Locks: none but rows; a lease of the campaign.
 * Refusals: none; BAD_USER_INPUT and NOT_FOUND name the field; CONFLICT beyond 1,000,000, and while
 * an audience is being added; SERVICE_UNAVAILABLE when the lease is lost.
 * A retry adds whoever belongs to the audience by then and is not named yet.
 * Events: none.
 */
export async function addAudience(deps: Deps, args: Add): Promise<Campaign> {
  const { programId, campaignId, isGone } = args;
  const audience = await readAudience(deps, args);
  const { poolId } = await getCampaign(deps.db, args);
  const lease = await takeLease(deps, { programId, name: `audience:${campaignId}` });
  if (!lease) throw conflict('campaignId: an audience is being added to it: ask again');
  try {
    let after: string | null = FIRST_ID;
    while (after !== null && !isGone()) {
      if (!lease.isHeld()) throw unavailable('the database was away: ask again');
      after = await addPage(deps, { programId, campaignId, poolId, audience, after });
    }
  } finally {
    await lease.release();
  }
  return getCampaign(deps.db, args);
}

type Page = CampaignRef & { poolId: string; audience: Audience; after: string };

/** Answers behind whom the next page begins, or null. */
function addPage(deps: Deps, page: Page): Promise<string | null> {
  const { programId, campaignId } = page;
  return inTransaction(deps, async (tx) => {
    const { scanned, last, added } = await addAudiencePage(tx, { ...page, limit: PAGE });
    await countAdded(tx, { programId, campaignId, added });
    return scanned < PAGE ? null : last;
  });
}

async function readAudience(
  deps: Deps,
  { programId, audience }: Pick<Add, 'programId' | 'audience'>,
): Promise<Audience> {
  const read = parse(audienceInput, audience, 'audience');
  const { minSpent, maxSpent, tierIds } = read;
  if (minSpent != null && maxSpent != null && maxSpent < minSpent)
    throw badInput('audience.maxSpent', 'minSpent or more');
  if (tierIds) await requireTiers(deps, { programId, tierIds });
  return {
    tierIds: tierIds ?? null,
    purchasedWithinDays: read.purchasedWithinDays ?? null,
    notPurchasedForDays: read.notPurchasedForDays ?? null,
    minSpent: minSpent ?? null,
    maxSpent: maxSpent ?? null,
    withoutCodeOfPool: read.withoutCodeOfPool,
  };
}

async function requireTiers(deps: Deps, of: { programId: ProgramId; tierIds: string[] }) {
  const known = new Set((await listTiers(deps, of)).map(({ id }) => id));
  const missing = of.tierIds.findIndex((id) => !known.has(id.toLowerCase()));
  if (missing >= 0) throw notFound(`audience.tierIds.${missing}`, 'tier');
}
