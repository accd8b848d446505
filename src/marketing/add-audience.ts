import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { inTransaction } from '../kernel/db.ts';
import { badInput, notFound } from '../kernel/errors.ts';
import type { ProgramId } from '../kernel/ids.ts';
import { parse, whole } from '../kernel/input.ts';
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

type Add = CampaignRef & { audience: AudienceInput };

/**
 * Adds every member who belongs to an audience now, page by page: should it be cut short, what is
 * there stays, and the same call again adds the rest.
 *
 * Locks: none but rows.
 * Refusals: none; BAD_USER_INPUT and NOT_FOUND name the field; CONFLICT beyond 1,000,000.
 * A retry adds whoever belongs to the audience by then and is not named yet.
 * Events: none.
 */
export async function addAudience(deps: Deps, args: Add): Promise<Campaign> {
  const { programId, campaignId } = args;
  const audience = await readAudience(deps, args);
  const { poolId } = await getCampaign(deps.db, args);
  let after: string | null = FIRST_ID;
  while (after !== null) {
    const of = { programId, campaignId, poolId, after, limit: PAGE, audience };
    after = await inTransaction(deps, async (tx) => {
      const { scanned, last, added } = await addAudiencePage(tx, of);
      await countAdded(tx, { programId, campaignId, added });
      return scanned < PAGE ? null : last;
    });
  }
  return getCampaign(deps.db, args);
}

async function readAudience(deps: Deps, { programId, audience }: Add): Promise<Audience> {
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
