import { type CallLimit, type Hot, HotQueue } from '../kernel/coalesce.ts';
import { type Db, KEY_TAKEN, ROW_GONE, retrying } from '../kernel/db.ts';
import { traced } from '../kernel/trace.ts';
import { type AwardAnswer, type AwardItem, awardPointsSql } from './sql/award-points.ts';
import { type SpendAnswer, type SpendItem, spendPointsSql } from './sql/spend-points.ts';

export type LedgerQueues = {
  awards: Hot<AwardItem, AwardAnswer>;
  spends: Hot<SpendItem, SpendAnswer>;
  /** Programs whose awards ask the cap's tracker before the ledger: see award-points.ts. */
  trackerFirst: Set<string>;
};

/** Awards and spends that arrive together share a call, at most one for each member in it. */
export const openLedgerQueues = (db: Db, limit: CallLimit): LedgerQueues => ({
  awards: new HotQueue(awardOperation(db), limit),
  spends: new HotQueue(spendOperation(db), limit),
  trackerFirst: new Set(),
});

const again = <Answer extends { outcome: string }>(answer: Answer): Answer | 'AGAIN' =>
  answer.outcome === 'AGAIN' ? 'AGAIN' : answer;

const awardOperation = (db: Db) => ({
  call: async (programId: string, items: AwardItem[]) => {
    const answers = await traced('award_points', { programId, items: items.length }, () =>
      // A rank that is removed while it is reached: the next ladder has another one.
      retrying(() => awardPointsSql(db, { programId, items }), ROW_GONE),
    );
    return answers.map(again);
  },
  same: ({ id: _, ...item }: AwardItem) => JSON.stringify(item),
  locks: (item: AwardItem) => [item.memberId, `${item.source}:${item.orderId}`],
  repeated: (answer: AwardAnswer) =>
    answer.outcome === 'AWARDED' ? { ...answer, outcome: 'REPEATED', dayTotal: null } : answer,
});

const spendOperation = (db: Db) => ({
  call: async (programId: string, items: SpendItem[]) => {
    const answers = await traced('spend_points', { programId, items: items.length }, () =>
      retrying(() => spendPointsSql(db, { programId, items }), KEY_TAKEN),
    );
    return answers.map(again);
  },
  same: ({ id: _, ...item }: SpendItem) => JSON.stringify(item),
  locks: (item: SpendItem) => [item.memberId, `key:${item.idempotencyKey}`],
  repeated: (answer: SpendAnswer) =>
    answer.outcome === 'SPENT' ? { ...answer, outcome: 'REPEATED' } : answer,
});
