/** What the demo asks of the API, each with the type of its answer. */
import { operation } from './api.ts';

export type Refusal = {
  __typename: 'Refusal';
  reason: string;
  message: string;
  retryable: boolean;
};
const REFUSAL = '... on Refusal { reason message retryable }';
export type PoolStats = {
  generated: number;
  available: number;
  allocated: number;
  redeemed: number;
  revoked: number;
};

export const createProgram = operation<
  {
    input: { name: string; currency: string; timeZone: string; sandbox: true; clock: string } & {
      settings: Readonly<Record<string, unknown>>;
      tiers: readonly { name: string; qualifyPoints: number; maintainPoints: number }[];
    };
  },
  { createProgram: { program: { id: string }; secretKey: string } }
>(`mutation CreateProgram($input: CreateProgramInput!) {
  createProgram(input: $input) { program { id } secretKey }
}`);

export const advanceClock = operation<{ to: string }, { advanceClock: { now: string } }>(
  'mutation AdvanceClock($to: DateTime!) { advanceClock(to: $to) { now } }',
);

export const upsertMember = operation<
  { input: { externalId: string } },
  { upsertMember: { id: string } }
>('mutation UpsertMember($input: UpsertMemberInput!) { upsertMember(input: $input) { id } }');

export const createPool = operation<
  {
    input: { name: string; discountKind: 'PERCENT'; discountValue: number; minOrderAmount: number };
  },
  { createPool: { id: string } }
>('mutation CreatePool($input: PoolInput!) { createPool(input: $input) { id } }');

export const generateCodes = operation<
  { poolId: string; count: number; idempotencyKey: string },
  { generateCodes: { count: number } }
>(`mutation GenerateCodes($poolId: ID!, $count: Int!, $idempotencyKey: String) {
  generateCodes(poolId: $poolId, count: $count, idempotencyKey: $idempotencyKey) { count }
}`);

export const activatePool = operation<{ id: string }, { activatePool: { status: string } }>(
  'mutation ActivatePool($id: ID!) { activatePool(id: $id) { status } }',
);

export const claimCode = operation<
  { input: { poolId: string; memberId: string } },
  { claimCode: Refusal | { __typename: 'ClaimCodeSuccess'; plaintext: string } }
>(`mutation ClaimCode($input: ClaimCodeInput!) {
  claimCode(input: $input) {
    __typename
    ... on ClaimCodeSuccess { plaintext }
    ${REFUSAL}
  }
}`);

export const redeemCode = operation<
  { input: { code: string; orderId: string; orderAmount: number; memberId: string } },
  {
    redeemCode:
      | Refusal
      | {
          __typename: 'RedeemCodeSuccess';
          redemption: { orderId: string; orderAmount: number; discountAmount: number };
        };
  }
>(`mutation RedeemCode($input: RedeemCodeInput!) {
  redeemCode(input: $input) {
    __typename
    ... on RedeemCodeSuccess { redemption { orderId orderAmount discountAmount } }
    ${REFUSAL}
  }
}`);

export const poolStats = operation<{ id: string }, { pool: { stats: PoolStats } | null }>(
  `query PoolStats($id: ID!) {
  pool(id: $id) { stats { generated available allocated redeemed revoked } }
}`,
);

export const awardPoints = operation<
  { input: { memberId: string; source: string; orderId: string; amount: number } },
  {
    awardPoints:
      | Refusal
      | {
          __typename: 'AwardPointsSuccess';
          batch: { requested: number; points: number };
          member: { balance: number };
        };
  }
>(`mutation AwardPoints($input: AwardPointsInput!) {
  awardPoints(input: $input) {
    __typename
    ... on AwardPointsSuccess { batch { requested points } member { balance } }
    ${REFUSAL}
  }
}`);

export const spendPoints = operation<
  { input: { memberId: string; points: number; idempotencyKey: string } },
  {
    spendPoints: Refusal | { __typename: 'SpendPointsSuccess'; member: { balance: number } };
  }
>(`mutation SpendPoints($input: SpendPointsInput!) {
  spendPoints(input: $input) {
    __typename
    ... on SpendPointsSuccess { member { balance } }
    ${REFUSAL}
  }
}`);

export const reverseAward = operation<
  { input: { source: string; orderId: string; refundId: string; amount: number } },
  { reverseAward: { pending: boolean } }
>(`mutation ReverseAward($input: ReverseAwardInput!) {
  reverseAward(input: $input) { pending }
}`);

/** What a dashboard shows of a member; the history of the tier newest first. */
export type MemberAccount = {
  externalId: string;
  balance: number;
  pendingPoints: number;
  debtPoints: number;
  tier: { rank: number };
  earned12Months: number;
  graceEndsAt: string | null;
  tierHistory: { nodes: TierChange[] };
};
export type TierChange = {
  from: { rank: number };
  to: { rank: number };
  reason: string;
  at: string;
};

export type MemberPage = {
  nodes: MemberAccount[];
  pageInfo: { hasNextPage: boolean; endCursor: string };
};

export const membersPage = operation<
  { first: number; after: string | null },
  { members: MemberPage }
>(`query Members($first: Int!, $after: String) {
  members(first: $first, after: $after) {
    nodes {
      externalId balance pendingPoints debtPoints tier { rank } earned12Months graceEndsAt
      tierHistory(first: 20) { nodes { from { rank } to { rank } reason at } }
    }
    pageInfo { hasNextPage endCursor }
  }
}`);

export type Liability = {
  opening: number;
  awarded: number;
  spent: number;
  expired: number;
  reversed: number;
  refunded: number;
  closing: number;
  value: number;
};

export type Difference = { invariant: string; subject: string; expected: number; actual: number };

/** The points of the whole record, and whether they tie out. */
export const accounts = operation<
  Record<string, never>,
  {
    pointsLiability: Liability;
    reconcile: { members: number; batches: number; differences: Difference[] };
  }
>(`query Accounts {
  pointsLiability { opening awarded spent expired reversed refunded closing value }
  reconcile { members batches differences { invariant subject expected actual } }
}`);
