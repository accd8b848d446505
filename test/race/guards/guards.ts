/**
 * Every guard against a race, how it is taken out, and the tests that must then fail: a test that
 * passes without the guard proves nothing about it. Where a lock and an index guard the same thing,
 * the lock alone is taken out first: then requests wait or fail, which is what the lock spares
 * them, and the index still holds. Without both, the thing itself goes wrong.
 */

import { type Edit, type Guard, type TestOf, withoutLock } from './edits.ts';
import { outboxGuards } from './outbox.ts';
import { tierGuards } from './tiers.ts';
import { walletGuards } from './wallets.ts';

const claims = (title: string): TestOf => ({ file: 'test/race/claims.test.ts', title });
const redemptions = (title: string): TestOf => ({ file: 'test/race/redemptions.test.ts', title });
const pools = (title: string): TestOf => ({ file: 'test/race/pools.test.ts', title });
const stores = (title: string): TestOf => ({ file: 'test/race/stores.test.ts', title });

const ONE_CODE = claims('claim, claim, commit, commit: one code');
const ONE_OWNER = claims('two members, the last code, commit, commit: one of them has it');
const ONE_REDEMPTION = redemptions('redeem, redeem, commit, commit: one redemption');
const ONE_DISCOUNT = redemptions('two codes on one order, commit, commit: one discount');

const ROW_LOCK: Edit = {
  file: 'lock_redemptions',
  replace: /FOR NO KEY UPDATE SKIP LOCKED/g,
  by: '',
};

const ledger = (title: string): TestOf => ({ file: 'test/race/ledger.test.ts', title });
const grants = (title: string): TestOf => ({ file: 'test/race/ledger-grants.test.ts', title });
const TRACKER: TestOf = {
  file: 'test/race/cap-tracker.test.ts',
  title: 'award, raise late, flush, rebuild, run ahead in every order: the cap holds',
};

const ONE_LOT = ledger('award, award of the same order, commit, commit: one lot');
const ONE_OF_TEN = ledger('one order for ten members at once: one of them has the lot');
const WITHIN_CAP = ledger('two awards at the edge of the cap, commit, commit: the cap exactly');
const NEVER_MORE = ledger('spend, spend, commit, commit: never more than there were');
const SWEPT = ledger(
  'spend, the lot expires, sweep, commit: it waits, and writes off what is left',
);
const TAKEN_BACK = ledger(
  'spend, reversal, commit: it waits, takes what is left, and the rest is debt',
);
const PUT_BACK = ledger('refund, refund of one spend, commit, commit: no more than was spent');

const NO_ROW_LOCKS: Edit[] = ['spend_points', 'expire_points', 'reverse_award'].map((file) => ({
  file,
  replace: / FOR UPDATE/g,
  by: '',
}));
const NO_SIGN = [
  'ALTER TABLE ledger_batches DROP CONSTRAINT ledger_batches_never_negative',
  'ALTER TABLE members DROP CONSTRAINT members_outstanding_never_negative',
  'ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_balance',
];

export const guards: readonly Guard[] = [
  {
    name: 'identity lock',
    protects: 'a person asks twice: the second waits for the first outside of the database',
    edits: withoutLock(2),
    needs: [
      claims('claim, claim, commit: the second is told AGAIN at once, then given the same code'),
      claims('guest claims, member claims, commit: one person, so the same code'),
      claims('guest claims, e-mail is verified, commit: the code is the member’s'),
    ],
    spares: [ONE_CODE],
  },
  {
    name: 'identity lock and slot',
    protects: 'one code for a person: the lock, and behind it the primary key of claims',
    edits: withoutLock(2),
    sql: ['ALTER TABLE claims DROP CONSTRAINT claims_pkey'],
    needs: [ONE_CODE, claims('200 claims of one member on 20 connections at once: one code')],
  },
  {
    name: 'second look at the claimant',
    protects: 'a claimant who turns out to be somebody else is locked as that person',
    edits: [{ file: 'claim_codes', replace: /AND b\.keys = i\.keys/g, by: '' }],
    needs: [claims('guest is looked up, e-mail is verified, guest is locked: it starts again')],
  },
  {
    name: 'skip locked',
    protects: 'no claimant waits for the code that another is being given',
    edits: [{ file: 'allocate_codes', replace: /FOR UPDATE SKIP LOCKED/g, by: 'FOR UPDATE' }],
    needs: [
      claims('two members, claim, claim, commit, commit: neither waits, and the codes differ'),
    ],
    spares: [ONE_OWNER],
  },
  {
    name: 'row lock of a claim',
    protects: 'a code that is being given is not taken: the swap behind it fails the request',
    edits: [{ file: 'allocate_codes', replace: /FOR UPDATE SKIP LOCKED/g, by: '' }],
    needs: [
      claims('two members, claim, claim, commit, commit: neither waits, and the codes differ'),
    ],
    spares: [ONE_OWNER],
  },
  {
    name: 'row lock, swap and owner',
    protects: 'one owner for a code: its row lock, the guarded UPDATE, the trigger on its owner',
    edits: [
      { file: 'allocate_codes', replace: /FOR UPDATE SKIP LOCKED/g, by: '' },
      { file: 'allocate_codes', replace: /AND c\.status = 'AVAILABLE'/g, by: '' },
    ],
    sql: ['DROP TRIGGER codes_owner_stays ON codes'],
    needs: [ONE_OWNER],
  },
  {
    name: 'fresh look',
    protects: 'exhausted only when no code is free, not when they are merely locked',
    edits: [
      {
        file: 'pool_shortage',
        replace: /WHEN \(SELECT id FROM codes/g,
        by: 'WHEN false AND (SELECT id FROM codes',
      },
    ],
    needs: [
      claims('the last ten codes held, half rolled back: every code issued, nobody refused early'),
      pools('the last code of a pool is held: nobody goes on to its fallback before it is settled'),
    ],
  },
  {
    name: 'pool lock',
    protects: 'once a pause has answered, nothing more is issued',
    edits: withoutLock(4),
    needs: [
      pools('claim, pause, commit: it answers after the claim is settled'),
      pools('claim, archive, commit: it answers after the claim is settled'),
      pools('pause, claim, commit: a claim never goes by the status that was before'),
    ],
  },
  {
    name: 'row lock of a redemption',
    protects: 'a code is redeemed twice: the second request never waits for the first',
    edits: [ROW_LOCK],
    needs: [
      redemptions('redeem, redeem, commit: the second is told AGAIN at once, then that it is used'),
    ],
    spares: [ONE_REDEMPTION],
  },
  {
    name: 'row lock and swap of a redemption',
    protects: 'the same, with the unique index as the last line: it fails the request',
    edits: [ROW_LOCK, { file: 'redeem_codes', replace: /AND c\.status = 'ALLOCATED'/g, by: '' }],
    needs: [
      redemptions('redeem, redeem, commit: the second is told AGAIN at once, then that it is used'),
    ],
    spares: [ONE_REDEMPTION],
  },
  {
    name: 'row lock, swap and index of a redemption',
    protects: 'one live redemption for a code',
    edits: [ROW_LOCK, { file: 'redeem_codes', replace: /AND c\.status = 'ALLOCATED'/g, by: '' }],
    sql: ['DROP INDEX redemptions_one_live'],
    needs: [
      ONE_REDEMPTION,
      redemptions('100 orders redeem one code on 20 connections at once: one succeeds'),
    ],
  },
  {
    name: 'order lock',
    protects: 'an order is discounted twice, or a void overtakes what is spent on its order',
    edits: withoutLock(6),
    needs: [
      redemptions('two codes on one order, commit: the second is told AGAIN at once, then refused'),
      redemptions(
        'a stackable code and one that is not, on one order, commit, commit: one of them',
      ),
      redemptions('void while its order is held: it waits, and until it answers the code is used'),
    ],
    spares: [ONE_DISCOUNT],
  },
  {
    name: 'order lock and index',
    protects: 'one discount for an order: the lock, and behind it a unique index',
    edits: withoutLock(6),
    sql: ['DROP INDEX redemptions_one_on_an_order'],
    needs: [ONE_DISCOUNT],
  },
  {
    name: 'sorted keys',
    protects: 'two who lock the same people never wait for each other',
    edits: [
      {
        file: 'locks',
        replace: /SELECT DISTINCT (lock_key\(p_program, 2, name\)[\s\S]*?) ORDER BY k\)/g,
        by: 'SELECT $1)',
      },
    ],
    needs: [
      {
        file: 'test/race/deadlocks.test.ts',
        title:
          'two lock the same people in opposite orders, and line up behind a third: no deadlock',
      },
    ],
  },
  {
    name: 'top-up lock',
    protects: 'one process mints for a pool, the others do not wait',
    edits: withoutLock(3),
    needs: [pools('top up, top up, commit: the second mints nothing, and at once')],
  },
  {
    name: 'code space lock',
    protects: 'batches of a program one after the other: no more than maxCodes, no deadlock',
    edits: withoutLock(5),
    needs: [
      stores('a batch waits for the one before it, and then counts what that one made'),
      stores('ten batches at once in a pool that may have 500 codes: never a code more'),
      stores(
        'lists that overlap, imported at once in opposite orders: one of them, and no deadlock',
      ),
    ],
  },
  {
    name: 'idempotency key',
    protects: 'the same key at once: one batch',
    edits: [],
    sql: ['ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_pkey'],
    needs: [
      stores('the same idempotencyKey ten times at once: one batch'),
      grants('the same grant 50 times at once: one lot'),
    ],
  },
  {
    name: 'award lock',
    protects: 'an order is awarded twice, or its award and its refund do not see each other',
    edits: withoutLock(7),
    needs: [
      ledger('one order for two members, award, award, commit: the second is told AGAIN'),
      ledger('award, reversal of the same order, commit: it waits, and takes the points back'),
      ledger('reversal, award of its order, commit: the award is told AGAIN, then taken back'),
    ],
    spares: [ONE_LOT, ONE_OF_TEN],
  },
  {
    name: 'award lock, member lock and index',
    protects: 'one lot for an order: behind both locks stands ledger_batches_one_award',
    edits: withoutLock(7, 8),
    sql: ['DROP INDEX ledger_batches_one_award'],
    needs: [ONE_LOT, ONE_OF_TEN],
  },
  {
    name: 'member lock',
    protects: 'nobody waits for a member, and everybody sees what was done to it before',
    edits: withoutLock(8),
    needs: [
      ledger('spend, spend, commit: the second is told AGAIN at once, then refused'),
      ledger('refund of a spend, spend, commit: the spend is told AGAIN, then covered'),
      ledger('reversal, spend, award, commit: both are told AGAIN, the debt is paid first'),
      ledger('the lot expires, sweep, award, commit: the award is told AGAIN at once'),
      grants('grant, reversal, commit: it waits, takes what was given, and the rest is debt'),
      ledger('refund, refund of one spend, commit: it waits, and is told that it is too much'),
    ],
    // The row locks of the lots, the trigger of the day, the CHECK of a spend: in this order.
    spares: [NEVER_MORE, SWEPT, TAKEN_BACK, WITHIN_CAP, PUT_BACK],
  },
  {
    name: 'member lock of the daily work',
    protects: 'a task that runs twice at once gives no bonus, warning or rank twice',
    edits: withoutLock(8),
    needs: [
      {
        file: 'test/race/daily-work.test.ts',
        title: 'each task in two processes at once: done once for each member, and nobody fails',
      },
    ],
  },
  {
    name: 'row lock of the next wake-up',
    protects: 'the next attempt for a member who fails meanwhile is not forgotten',
    edits: [{ file: 'set_next_due', replace: / FOR UPDATE/g, by: '' }],
    needs: [
      {
        file: 'test/race/daily-work.test.ts',
        title: 'a failure is recorded, the work of the program ends, commit: it is tried again',
      },
    ],
  },
  {
    name: 'member lock and day of the cap',
    protects: 'a day within its cap: the lock, and behind it the trigger that judges the commit',
    edits: withoutLock(8),
    sql: ['DROP TRIGGER ledger_batches_day_within_cap ON ledger_batches'],
    needs: [WITHIN_CAP],
  },
  {
    name: "ledger's own total",
    protects: 'the day is measured by the ledger, whatever the tracker says',
    edits: [
      {
        file: 'quote_award',
        replace: /AND l\.order_id IS NOT NULL/g,
        by: 'AND l.order_id IS NOT NULL AND false',
      },
    ],
    needs: [
      TRACKER,
      WITHIN_CAP,
      ledger('50 different awards at the edge of the cap at once: the cap exactly'),
    ],
  },
  {
    name: 'member lock and row locks',
    protects: 'a lot is drawn as it is: without them its CHECKs fail the request',
    edits: [...withoutLock(8), ...NO_ROW_LOCKS],
    needs: [SWEPT],
    spares: [NEVER_MORE],
  },
  {
    name: 'member lock, row locks and signs',
    protects: 'no lot and no balance is ever negative: the CHECKs are the last line',
    edits: [...withoutLock(8), ...NO_ROW_LOCKS],
    sql: NO_SIGN,
    needs: [NEVER_MORE, SWEPT],
  },
  {
    name: 'member lock and limits of a refund',
    protects: 'no more is given back than was spent: the lock, a CHECK, the trigger on its draws',
    edits: withoutLock(8),
    sql: [
      'ALTER TABLE spends DROP CONSTRAINT spends_points',
      'DROP TRIGGER spends_tie_out ON spends',
    ],
    needs: [PUT_BACK],
  },
  {
    name: 'key of a spend',
    protects: 'one spend for a key, whoever asks: no lock is shared, the index decides',
    edits: [],
    sql: ['DROP INDEX spends_program_id_idempotency_key_key'],
    needs: [ledger('one key for two members, spend, spend, commit, commit: one spend')],
  },
  {
    name: 'key of a refund',
    protects: 'one refund for a refundId, whatever its order: the index decides',
    edits: [],
    sql: ['DROP INDEX purchase_refunds_program_id_source_refund_id_key'],
    needs: [ledger('one refundId for two orders, reverse, reverse, commit, commit: one refund')],
  },
  ...walletGuards,
  ...outboxGuards,
  ...tierGuards,
  {
    name: 'pool lock of a job',
    protects: 'a pool that issues has no job under way: what is begun beside it waits',
    edits: withoutLock(4),
    needs: [
      {
        file: 'test/race/jobs.test.ts',
        title: 'begin a job, activate, commit: the pool waits for the job',
      },
    ],
  },
];
