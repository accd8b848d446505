/**
 * The one place that says who may do what. Every field of every object type has a rule here; one
 * that has none keeps the server from starting, so that what is new is denied until somebody
 * decides.
 */
import type { Resolvers, Scope } from '../generated/graphql.ts';

/**
 * A secret key needs one of `scopes`, or any key will do where there are none: what stands below a
 * field that needed one. `member` and `root` say whether such a caller may, too.
 */
export type Rule = { scopes: readonly Scope[]; key?: false; member?: true; root?: true };

type ObjectTypes = Pick<
  Required<Resolvers>,
  Exclude<
    keyof Resolvers,
    'DateTime' | 'EmailAddress' | 'JSON' | 'LocalDate' | 'SafeInt' | `${string}Result`
  >
>;
type FieldsOf<Type extends keyof ObjectTypes> = Exclude<
  keyof NonNullable<ObjectTypes[Type]>,
  '__isTypeOf'
>;
type Table = { [Type in keyof ObjectTypes]-?: Record<FieldsOf<Type>, Rule> };

const needs = (...scopes: Scope[]): Rule => ({ scopes });
const orMember = (rule: Rule): Rule => ({ ...rule, member: true });
const orRoot = (rule: Rule): Rule => ({ ...rule, root: true });
const each = <Field extends string>(rule: Rule, ...fields: Field[]) =>
  Object.fromEntries(fields.map((field) => [field, rule])) as Record<Field, Rule>;

/** Reached through a field that had a rule of its own. */
const reached: Rule = { scopes: [], member: true };
const rootOnly: Rule = { scopes: [], key: false, root: true };

const ofProgram = orRoot(needs('PROGRAM_READ', 'PROGRAM_WRITE'));
const ofTier = orMember(
  orRoot(
    needs(
      'PROGRAM_READ',
      'PROGRAM_WRITE',
      'POOLS_READ',
      'POOLS_WRITE',
      'MEMBERS_READ',
      'MEMBERS_WRITE',
      'ADVISOR_READ',
    ),
  ),
);
const ofPool = needs('POOLS_READ', 'POOLS_WRITE');
const ofAdvisor = needs('ADVISOR_READ');
/** The terms of a pool are also told beside the advisor's facts about it. */
const ofOffer = needs('POOLS_READ', 'POOLS_WRITE', 'ADVISOR_READ');
/** An award or a spend answers with its member, whose points are what it was about. */
const ofHolder = orMember(
  needs('MEMBERS_READ', 'MEMBERS_WRITE', 'LEDGER_READ', 'POINTS_AWARD', 'POINTS_SPEND'),
);
const ofLedger = orMember(needs('LEDGER_READ', 'POINTS_AWARD', 'POINTS_GRANT', 'POINTS_SPEND'));
const ofRedemption = orMember(needs('POOLS_READ', 'CODES_REDEEM', 'MEMBERS_READ'));
const ofCampaign = needs('CAMPAIGNS_READ', 'CAMPAIGNS_WRITE');
const ofKey = orRoot(needs('KEYS_WRITE'));

export const access: Table = {
  Query: {
    program: orMember(needs('PROGRAM_READ')),
    ...each(needs('POOLS_READ'), 'pool', 'pools', 'code', 'findCode', 'order'),
    ...each(needs('MEMBERS_READ'), 'member', 'members', 'ownershipConflicts'),
    codeJob: ofPool,
    ...each(needs('CAMPAIGNS_READ'), 'campaign', 'campaigns'),
    secretKeys: needs('KEYS_WRITE'),
    quotePoints: orMember(needs('LEDGER_READ', 'POINTS_AWARD')),
    ...each(needs('LEDGER_READ'), 'pointsLiability', 'reconcile', 'events'),
    webhooks: needs('WEBHOOKS_WRITE'),
    workerFailures: needs('WORKERS_RUN'),
    couponAdvisor: ofAdvisor,
    me: reached,
  },
  Mutation: {
    createProgram: rootOnly,
    ...each(needs('PROGRAM_WRITE'), 'updateProgram', 'setTiers', 'advanceClock'),
    createMemberToken: needs('TOKENS_MINT'),
    createSecretKey: ofKey,
    revokeSecretKey: needs('KEYS_WRITE'),
    ...each(
      needs('POOLS_WRITE'),
      'createPool',
      'updatePool',
      'activatePool',
      'pausePool',
      'resumePool',
      'archivePool',
      'generateCodes',
      'importCodes',
      'importCsv',
      'generateCodesJob',
      'cancelCodeJob',
    ),
    claimCode: orMember(needs('CODES_CLAIM')),
    ...each(orMember(needs('CODES_REDEEM')), 'reserveCode', 'releaseCode', 'redeemCode'),
    voidRedemption: needs('CODES_REDEEM'),
    ...each(needs('CODES_REVOKE'), 'revokeCode', 'revokeCodes'),
    ...each(
      needs('CAMPAIGNS_WRITE'),
      'createCampaign',
      'addRecipients',
      'addAudience',
      'issueCampaign',
    ),
    upsertMember: needs('MEMBERS_WRITE'),
    ...each(needs('POINTS_AWARD'), 'awardPoints', 'reverseAward'),
    grantPoints: needs('POINTS_GRANT'),
    spendPoints: orMember(needs('POINTS_SPEND')),
    refundSpend: needs('POINTS_SPEND'),
    ...each(
      needs('WEBHOOKS_WRITE'),
      'createWebhook',
      'updateWebhook',
      'rotateWebhookSecret',
      'replayWebhook',
    ),
    runWorker: needs('WORKERS_RUN'),
    adoptSuggestion: ofAdvisor,
  },
  Refusal: each(reached, 'reason', 'message', 'retryable'),
  PageInfo: each(reached, 'hasNextPage', 'endCursor'),
  Program: {
    // The terms that a customer is told; not what the merchant calculates with.
    ...each(
      orMember(ofProgram),
      'id',
      'name',
      'currency',
      'timeZone',
      'sandbox',
      'now',
      'baseRate',
      'minAmount',
      'dailyCap',
      'expiryMonths',
      'maturityDays',
      'graceDays',
      'birthdayBonus',
      'spendOrder',
      'tiers',
    ),
    ...each(
      ofProgram,
      'graceWarningDays',
      'reupgradeBonus',
      'reupgradeWindowMonths',
      'reengagementBonus',
      'inactiveDays',
      'pointValue',
      'maxDiscountRate',
      'maxBackdateDays',
    ),
  },
  Tier: each(ofTier, 'id', 'rank', 'name', 'qualifyPoints', 'maintainPoints', 'multiplier'),
  CreateProgramSuccess: each(rootOnly, 'program', 'secretKey'),
  SecretKey: each(ofKey, 'id', 'name', 'masked', 'scopes', 'createdAt', 'lastUsedAt', 'revokedAt'),
  SecretKeySuccess: each(ofKey, 'key', 'secretKey'),
  Pool: {
    ...each(
      orMember(ofOffer),
      'id',
      'name',
      'status',
      'discountKind',
      'discountValue',
      'maxDiscount',
      'minOrderAmount',
      'prefix',
      'startsAt',
      'endsAt',
      'perMemberLimit',
      'minTier',
      'exhaustion',
      'maxCodes',
      'stackable',
      'createdAt',
    ),
    ...each(ofPool, 'fallbackPool', 'stats'),
    codes: needs('POOLS_READ'),
  },
  PoolStats: each(ofPool, 'generated', 'available', 'allocated', 'redeemed', 'revoked'),
  PoolConnection: each(ofPool, 'nodes', 'pageInfo'),
  CodeBatch: each(ofPool, 'id', 'pool', 'count', 'createdAt'),
  CodeJob: each(ofPool, 'id', 'pool', 'count', 'done', 'status', 'createdAt'),
  ImportReport: each(ofPool, 'rows', 'conflicts', 'batch'),
  ImportConflict: each(ofPool, 'row', 'problem', 'sameAs'),
  Code: {
    ...each(
      reached,
      'id',
      'pool',
      'masked',
      'status',
      'allocatedAt',
      'redeemedAt',
      'redemption',
      'reservedFor',
      'reservedUntil',
      'revokedAt',
      'replacedBy',
    ),
    batch: ofPool,
    plaintext: orMember(needs('CODES_REVEAL')),
    member: orMember(needs('MEMBERS_READ')),
    claimEmail: needs('MEMBERS_READ'),
  },
  CodeConnection: each(needs('POOLS_READ'), 'nodes', 'pageInfo'),
  RevokeCodesSuccess: each(reached, 'revoked', 'recycled', 'replaced'),
  // It tells of members: that there is one with an address is not for every key to know.
  OwnershipConflict: each(needs('MEMBERS_READ'), 'id', 'code', 'owner', 'other', 'at'),
  OwnershipConflictConnection: each(needs('MEMBERS_READ'), 'nodes', 'pageInfo'),
  Redemption: each(
    ofRedemption,
    'id',
    'code',
    'orderId',
    'orderAmount',
    'discountAmount',
    'redeemedAt',
    'voidedAt',
  ),
  ClaimCodeSuccess: each(reached, 'code', 'plaintext', 'alreadyClaimed'),
  RedeemCodeSuccess: each(reached, 'code', 'redemption', 'alreadyRedeemed'),
  ReserveCodeSuccess: each(reached, 'code', 'reservedUntil'),
  Member: {
    ...each(
      ofHolder,
      'id',
      'externalId',
      'email',
      'emailVerified',
      'birthday',
      'tier',
      'balance',
      'pendingPoints',
      'debtPoints',
      'earned12Months',
      'graceEndsAt',
    ),
    ...each(orMember(needs('MEMBERS_READ')), 'wallet', 'tierHistory'),
    ...each(orMember(needs('LEDGER_READ')), 'batches', 'entries'),
  },
  TierChange: each(reached, 'id', 'from', 'to', 'reason', 'at'),
  TierChangeConnection: each(reached, 'nodes', 'pageInfo'),
  LedgerBatch: each(
    ofLedger,
    'id',
    'source',
    'orderId',
    'generation',
    'amount',
    'requested',
    'points',
    'remaining',
    'expired',
    'reversed',
    'cancelled',
    'zeroReason',
    'earnedAt',
    'maturesAt',
    'expiresAt',
  ),
  LedgerBatchConnection: each(ofLedger, 'nodes', 'pageInfo'),
  LedgerEntry: each(ofLedger, 'id', 'kind', 'points', 'balanceAfter', 'at', 'batch'),
  LedgerEntryConnection: each(ofLedger, 'nodes', 'pageInfo'),
  AwardPointsSuccess: each(reached, 'batch', 'alreadyAwarded', 'capped', 'member'),
  SpendPointsSuccess: each(reached, 'spend', 'alreadySpent', 'member'),
  Spend: each(reached, 'id', 'points', 'refunded', 'spentAt', 'allocations'),
  ConsumptionAllocation: each(reached, 'batch', 'points', 'refunded'),
  ReverseAwardPayload: each(reached, 'reversed', 'debt', 'pending', 'alreadyReversed', 'member'),
  PointsQuote: each(reached, 'base', 'multiplier', 'points', 'capRemaining', 'awarded'),
  PointsLiability: each(
    reached,
    'asOf',
    'opening',
    'awarded',
    'spent',
    'expired',
    'reversed',
    'refunded',
    'closing',
    'value',
    'byExpiryMonth',
  ),
  LiabilityMonth: each(reached, 'month', 'points'),
  Reconciliation: each(reached, 'members', 'batches', 'codes', 'differences'),
  LedgerDifference: each(reached, 'invariant', 'subject', 'expected', 'actual'),
  Campaign: {
    ...each(ofCampaign, 'id', 'name', 'pool', 'status', 'recipients', 'issued', 'createdAt'),
    recipientList: needs('CAMPAIGNS_READ'),
  },
  CampaignConnection: each(needs('CAMPAIGNS_READ'), 'nodes', 'pageInfo'),
  CampaignRecipient: each(needs('CAMPAIGNS_READ'), 'id', 'email', 'member', 'code', 'refusal'),
  CampaignRecipientConnection: each(needs('CAMPAIGNS_READ'), 'nodes', 'pageInfo'),
  MemberConnection: each(needs('MEMBERS_READ'), 'nodes', 'pageInfo'),
  Subscription: { events: needs('LEDGER_READ') },
  Event: each(needs('LEDGER_READ', 'WEBHOOKS_WRITE'), 'id', 'type', 'at', 'memberId', 'data'),
  EventConnection: each(needs('LEDGER_READ', 'WEBHOOKS_WRITE'), 'nodes', 'pageInfo'),
  Webhook: each(
    needs('WEBHOOKS_WRITE'),
    'id',
    'url',
    'types',
    'enabled',
    'createdAt',
    'failingSince',
    'restsUntil',
    'cursor',
    'deadLetters',
  ),
  WebhookSuccess: each(needs('WEBHOOKS_WRITE'), 'webhook', 'secret'),
  WorkerRun: each(reached, 'task', 'scanned', 'changed', 'failed', 'failures'),
  WorkerFailure: each(
    needs('WORKERS_RUN'),
    'id',
    'task',
    'day',
    'memberId',
    'message',
    'attempts',
    'resolvedAt',
  ),
  WorkerFailureConnection: each(needs('WORKERS_RUN'), 'nodes', 'pageInfo'),
  AdvisorReport: each(ofAdvisor, 'source', 'reason', 'facts', 'suggestions'),
  AdvisorFacts: each(ofAdvisor, 'asOf', 'averageOrder', 'cuts', 'pools', 'segments'),
  QuadrantCuts: each(ofAdvisor, 'days', 'share', 'growth'),
  PoolFacts: each(
    ofAdvisor,
    'pool',
    'issued',
    'redeemed',
    'redemptionRate',
    'discountGiven',
    'orderRevenue',
    'marginImpact',
    'share',
    'growth',
    'quadrant',
  ),
  SegmentFacts: each(
    ofAdvisor,
    'name',
    'members',
    'revenue',
    'tier',
    'purchasedWithinDays',
    'notPurchasedForDays',
    'minSpent',
    'maxSpent',
  ),
  Suggestion: each(ofAdvisor, 'id', 'title', 'rationale', 'segment', 'draft'),
  PoolDraft: each(
    ofAdvisor,
    'name',
    'discountKind',
    'discountValue',
    'maxDiscount',
    'minOrderAmount',
    'endsAt',
    'perMemberLimit',
    'suggestedCount',
  ),
};
