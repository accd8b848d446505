import type { Deps } from '../deps.ts';
import { orWhenBusy } from '../kernel/errors.ts';
import { counted } from '../kernel/hot-metrics.ts';
import { newId, type ProgramId, type RedemptionId } from '../kernel/ids.ts';
import { parse, text, whole } from '../kernel/input.ts';
import { readCode } from './canonical.ts';
import { withinBudget } from './lookup-budget.ts';
import { requireOwner } from './owner.ts';
import { refused } from './refused.ts';
import type { RedeemAnswer, RedeemItem } from './sql/redeem-codes.ts';
import type { Asker, Code, Redemption, Refused } from './types.ts';
import { lookupHashes } from './vault.ts';

// Made once: to make a schema takes longer than all else that is read here.
const orderText = text(200);
const amount = whole(0);

export type Redeem = {
  programId: ProgramId;
  code: string;
  orderId: string;
  /** Minor units. */
  orderAmount: number;
  asker: Asker;
};

export type Redeemed = { ok: true; code: Code; redemption: Redemption; alreadyRedeemed: boolean };

/**
 * Spends a code on an order: one compare-and-swap, so that a code has at most one live redemption.
 *
 * Locks: ORDER, the code's row.
 * Refusals: CODE_UNKNOWN, CODE_NOT_ALLOCATED, NOT_THE_OWNER, CODE_ALREADY_REDEEMED, CODE_REVOKED,
 * CODE_RESERVED, CODE_EXPIRED, BELOW_MINIMUM_ORDER, ORDER_ALREADY_DISCOUNTED, BUSY; to a member
 * token CODE_NOT_REDEEMABLE for every code that is not its own, and TOO_MANY_REQUESTS beyond its
 * budget.
 * A retry for the same order returns the first redemption, whatever the amount.
 * Events: code.redeemed.
 */
export async function redeemCode(deps: Deps, redeem: Redeem): Promise<Redeemed | Refused> {
  const canonical = readCode(redeem.code, 'input.code');
  const orderId = parse(orderText, redeem.orderId, 'input.orderId');
  const orderAmount = parse(amount, redeem.orderAmount, 'input.orderAmount');
  const { asker, programId } = redeem;
  const item: RedeemItem = {
    hashes: lookupHashes(deps, canonical).map((hash) => hash.toString('hex')),
    orderId,
    orderAmount,
    redemptionId: newId<RedemptionId>(deps),
    callerId: asker.kind === 'member' ? asker.memberId : undefined,
    ownerId: asker.kind === 'merchant' ? asker.owner : undefined,
  };
  const busy: RedeemAnswer = { outcome: 'BUSY', done: undefined };
  const run = () => {
    const answer = deps.hot.redemptions.submit(programId, item);
    return orWhenBusy(counted(deps, { operation: 'redeem', answer }), busy);
  };
  if (asker.kind === 'merchant') {
    await requireOwner(deps, { programId, asker });
    return toResult(await run(), canonical);
  }
  const answer = await withinBudget(
    deps,
    { ...asker, programId },
    { run, isOwn: ({ outcome }) => outcome !== 'CODE_NOT_REDEEMABLE' },
  );
  return answer === 'BUSY' ? { ok: false, reason: 'BUSY' } : toResult(answer, canonical);
}

function toResult({ outcome, done }: RedeemAnswer, canonical: string): Redeemed | Refused {
  if (done) return { ok: true, ...done, alreadyRedeemed: outcome === 'REPEATED' };
  return refused(outcome, canonical);
}
