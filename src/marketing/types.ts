import type { DiscountKind, PoolStatus } from '../generated/prisma/client.ts';
import type { CampaignId, ProgramId } from '../kernel/ids.ts';

export type { Campaign, CampaignRecipient } from '../generated/prisma/client.ts';

export type CampaignRef = { programId: ProgramId; campaignId: CampaignId };

/** Exactly one of the two. */
export type RecipientInput = {
  email?: string | null | undefined;
  memberId?: string | null | undefined;
};

/** Of members; what is left out asks for nothing. */
export type AudienceInput = {
  tierIds?: readonly string[] | null | undefined;
  /** The latest purchase lies in (today - n, today]. */
  purchasedWithinDays?: number | null | undefined;
  /** No purchase in (today - n, today]: also of those who never bought. */
  notPurchasedForDays?: number | null | undefined;
  /** Minor units of all purchases, less what was refunded; both ends are inclusive. */
  minSpent?: number | null | undefined;
  maxSpent?: number | null | undefined;
  withoutCodeOfPool: boolean;
};

/** The name of a campaign's run in the fleet. */
export const CAMPAIGN_RUN = 'issue_campaign';

export type Quadrant = 'STAR' | 'CASH_COW' | 'QUESTION_MARK' | 'DOG';

/** What a code of a pool takes off an order, and from which amount on. */
export type Offer = {
  discountKind: DiscountKind;
  /** Basis points, minor units, or 0 for a gift. */
  discountValue: number;
  maxDiscount: number | null;
  minOrderAmount: number;
};

/** Two offers with the same terms are one to a customer. */
export type Terms = Pick<Offer, 'discountKind' | 'discountValue' | 'minOrderAmount'>;

/** Money in minor units, rates in basis points; what each number means stands in the schema. */
export type PoolFacts = Offer & {
  poolId: string;
  name: string;
  status: PoolStatus;
  endsAt: Date | null;
  issued: number;
  redeemed: number;
  redemptionRate: number;
  discountGiven: number;
  orderRevenue: number;
  marginImpact: number;
  share: number;
  growth: number;
  quadrant: Quadrant;
  /** At least so many people hold its codes, and redeemed them. */
  holders: number;
  redeemers: number;
};

export type Recency = 'ACTIVE' | 'LAPSING' | 'LAPSED' | 'NEVER';
export type Spending = 'LOW' | 'MEDIUM' | 'HIGH';

export type SegmentFacts = {
  name: string;
  members: number;
  revenue: number;
  /** Null in all three: everyone. A member who has bought nothing has no spending. */
  tierId: string | null;
  recency: Recency | null;
  spending: Spending | null;
  purchasedWithinDays: number | null;
  notPurchasedForDays: number | null;
  minSpent: number | null;
  maxSpent: number | null;
};

export type Facts = {
  asOf: Date;
  averageOrder: number | null;
  /** At least so many people redeemed the codes of all pools. */
  redeemers: number;
  cuts: { days: number; share: number; growth: number };
  pools: PoolFacts[];
  /** Everyone comes first. */
  segments: SegmentFacts[];
};

export type Draft = Offer & {
  name: string;
  endsAt: Date;
  perMemberLimit: number;
  suggestedCount: number;
};

/** `segment` is the name of one of the facts' segments. */
export type Proposal = { title: string; rationale: string; segment: string; draft: Draft };
export type Suggestion = Proposal & { id: string };

export type Report = {
  source: 'MODEL' | 'RULES';
  reason: string | null;
  facts: Facts;
  suggestions: Suggestion[];
};
