import { type CallLimit, type Hot, HotQueue } from '../kernel/coalesce.ts';
import { type Db, retrying } from '../kernel/db.ts';
import { traced } from '../kernel/trace.ts';
import { type ClaimAnswer, type ClaimItem, claimCodesSql } from './sql/claim-codes.ts';
import { type RedeemAnswer, type RedeemItem, redeemCodesSql } from './sql/redeem-codes.ts';

export type CouponQueues = {
  claims: Hot<ClaimItem, ClaimAnswer>;
  redemptions: Hot<RedeemItem, RedeemAnswer>;
};

const REMEMBERED_POOLS = 10_000;
const NONE = '00000000-0000-0000-0000-000000000000';

/** Claims and redemptions that arrive together share a call. */
export const openCouponQueues = (db: Db, limit: CallLimit): CouponQueues => ({
  claims: new HotQueue(claimOperation(db), limit),
  redemptions: new HotQueue(redeemOperation(db), limit),
});

const again = <Answer extends { outcome: string }>(answer: Answer): Answer | 'AGAIN' =>
  answer.outcome === 'AGAIN' ? 'AGAIN' : answer;

const namesOf = (item: ClaimItem) => [item.memberId, item.email, item.recipientId];

function claimOperation(db: Db) {
  // Where each pool's queue was last seen to begin: it saves a scan, and nothing depends on it.
  const last = new Map<string, string>();
  return {
    call: async (programId: string, items: ClaimItem[]) => {
      const after: Record<string, string> = {};
      for (const { poolId } of items) after[poolId] = last.get(poolId) ?? NONE;
      const answers = await traced('claim_codes', { programId, items: items.length }, () =>
        retrying(() => claimCodesSql(db, { programId, items, after })),
      );
      if (last.size > REMEMBERED_POOLS) last.clear();
      for (const { outcome, code } of answers)
        if (outcome === 'CLAIMED' && code && code.id > (last.get(code.poolId) ?? ''))
          last.set(code.poolId, code.id);
      return answers.map(again);
    },
    same: (item: ClaimItem) =>
      JSON.stringify([item.poolId, ...namesOf(item), item.claimKey, item.actor]),
    locks: (item: ClaimItem) => namesOf(item).filter((name) => name !== undefined),
    repeated: (answer: ClaimAnswer) =>
      answer.outcome === 'CLAIMED' ? { ...answer, outcome: 'HELD' } : answer,
  };
}

function redeemOperation(db: Db) {
  return {
    call: async (programId: string, items: RedeemItem[]) => {
      const answers = await traced('redeem_codes', { programId, items: items.length }, () =>
        retrying(() => redeemCodesSql(db, { programId, items })),
      );
      return answers.map(again);
    },
    same: ({ redemptionId: _, ...item }: RedeemItem) => JSON.stringify(item),
    locks: (item: RedeemItem) => [`order:${item.orderId}`, `code:${item.hashes[0]}`],
    repeated: (answer: RedeemAnswer) =>
      answer.outcome === 'REDEEMED' ? { ...answer, outcome: 'REPEATED' } : answer,
  };
}
