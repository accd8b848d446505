/** What the demo asks of the API, each with the type of its answer. */
import { operation } from './api.ts';

export type Refusal = { __typename: 'Refusal'; reason: string; message: string };
export type PoolStats = {
  generated: number;
  available: number;
  allocated: number;
  redeemed: number;
  revoked: number;
};

export const createProgram = operation<
  { input: { name: string; currency: string; timeZone: string; sandbox: true; clock: string } },
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
    ... on Refusal { reason message }
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
    ... on Refusal { reason message }
  }
}`);

export const poolStats = operation<{ id: string }, { pool: { stats: PoolStats } | null }>(
  `query PoolStats($id: ID!) {
  pool(id: $id) { stats { generated available allocated redeemed revoked } }
}`,
);
