/** The database as the last line of the ledger: what no code of ours would do is refused. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testDeps } from '../support/database.ts';
import { openLedger } from '../support/ledger.ts';
import { casesOf, ruleAgainst, rulesOf, type Violations } from '../support/rules.ts';

const deps = await testDeps();
const ledger = await openLedger(deps, { settings: { dailyCap: 100, expiryMonths: 1 } });
const client = new pg.Client({ connectionString: deps.config.databaseUrl });
afterAll(() => client.end());

/** What the statements below speak of, by name. */
const ids: Record<string, string> = { program: ledger.programId };

beforeAll(async () => {
  await client.connect();
  const [ann, bob] = [await ledger.member(), await ledger.member()];
  const lot = await ledger.lot(ann, 60, { orderId: 'o-1' });
  const full = await ledger.lot(ann, 60);
  const none = await ledger.lot(ann, 60);
  const spend = await ledger.spent(ann, 70);
  await ledger.refund(spend, 5);
  await ledger.reverse('o-1', 10);
  await ledger.reverse('later', 10, { refundId: 'early' });
  const where = { programId: ledger.programId };
  const done = await deps.db.purchaseRefund.findFirstOrThrow({
    where: { ...where, pending: false },
  });
  const early = await deps.db.purchaseRefund.findFirstOrThrow({
    where: { ...where, pending: true },
  });
  Object.assign(ids, { ann, bob, lot: lot.id, full: full.id, none: none.id, spend });
  Object.assign(ids, { done: done.id, early: early.id });
});

const set = (table: string, id: string, text: string) =>
  `UPDATE ${table} SET ${text} WHERE program_id = :program AND id = :${id}`;
const lot = (text: string, id = 'lot') => set('ledger_batches', id, text);
const copyOf = (table: string, id: string, changes: string) => `
  INSERT INTO ${table} SELECT (jsonb_populate_record(t, jsonb_build_object(${changes}))).*
  FROM ${table} t WHERE program_id = :program AND id = :${id}`;
const newId = `'id', gen_random_uuid()`;
const aLot = (id: string, changes: string) =>
  copyOf(
    'ledger_batches',
    id,
    `${newId}, 'sequence', 1000000, 'order_id', 'o-9', 'drawn', 0, 'expired', 0, 'reversed', 0,
     'cancelled', 0, 'forgone', 0, 'refunded', 0, ${changes}`,
  );
const bonus = `'source', 'BIRTHDAY', 'order_id', NULL, 'amount', NULL, 'points', 1, 'remaining', 1`;
const birthday = `${bonus}, 'occasion', '2021'`;
const draws = (text: string) =>
  `UPDATE consumption_allocations SET ${text} WHERE program_id = :program AND position = 1`;
const entry = (values: string) => `
  INSERT INTO ledger_entries (program_id, member_id, kind, points, balance_after, at)
  SELECT :program, :ann, ${values}, now()`;
const kept = (table: string) => `DELETE FROM ${table} WHERE program_id = :program`;

/** By the name of the rule, what it is to refuse. */
const violations: Violations = {
  members_outstanding_never_negative: [set('members', 'bob', 'outstanding = -1')],
  members_debt_never_negative: [set('members', 'bob', 'debt = -1')],
  ledger_batches_ties_out: [
    lot('remaining = remaining + 1', 'full'),
    lot('drawn = drawn + 1'),
    lot('expired = expired + 1'),
    lot('reversed = reversed + 1'),
  ],
  ledger_batches_never_negative: [
    lot('remaining = remaining - 100, drawn = drawn + 100'),
    lot('remaining = remaining + 100, drawn = drawn - 100'),
    lot('remaining = -1, expired = points - drawn - reversed + 1'),
  ],
  ledger_batches_awarded_within_request: [aLot('full', `'points', 61, 'remaining', 61`)],
  ledger_batches_cancelled_within_points: [
    lot('cancelled = points + 1'),
    lot('forgone = expired + 1'),
  ],
  ledger_batches_refunded_within_amount: [lot('refunded = amount + 1')],
  ledger_batches_purchase_has_order: [
    aLot('full', `'source', 'MANUAL', 'points', 1, 'remaining', 1`),
    aLot('full', `'order_id', NULL, 'points', 1, 'remaining', 1`),
    aLot('full', `'amount', NULL, 'points', 1, 'remaining', 1`),
  ],
  ledger_batches_generation: [aLot('full', `'generation', 0`)],
  ledger_batches_zero_said: [lot('zero_reason = NULL', 'none'), lot(`zero_reason = 'CAPPED'`)],
  ledger_batches_within_cap: [aLot('lot', `'cap', 59, 'points', 60, 'remaining', 60`)],
  ledger_batches_one_award: [aLot('lot', `'order_id', 'o-1', 'points', 60, 'remaining', 60`)],
  ledger_batches_facts_stay: [
    ...['points = 61, remaining = remaining + 1', 'requested = 61', 'amount = 61', 'cap = 101'],
    ...[`order_id = 'o-2'`, `source = 'RECEIPT'`, 'generation = 2', 'sequence = 0'],
    ...['member_id = :bob', `day = '2021-01-02'`, 'earned_at = now()', 'matures_at = now()'],
    ...['expires_at = NULL', 'reversed = reversed - 1, remaining = remaining + 1'],
    ...['cancelled = cancelled - 1', 'refunded = refunded - 1'],
  ].map((text) => lot(text)),
  ledger_batches_bonus_has_occasion: [
    aLot('full', `${bonus}, 'occasion', NULL`),
    aLot('full', `'occasion', '2021', 'points', 1, 'remaining', 1`),
  ],
  ledger_batches_one_bonus: [`WITH one AS (${aLot('full', birthday)}) ${aLot('full', birthday)}`],
  ledger_batches_occasion_stays: [lot(`occasion = '2021'`)],
  ledger_batches_kept: [kept('ledger_batches')],
  ledger_batches_day_within_cap: [aLot('full', `'points', 1, 'remaining', 1`)],
  spends_points: [
    copyOf('spends', 'spend', `${newId}, 'idempotency_key', 'k', 'points', 0, 'refunded', 0`),
    set('spends', 'spend', 'refunded = points + 1'),
  ],
  spends_program_id_idempotency_key_key: [copyOf('spends', 'spend', newId)],
  spends_tie_out: [
    copyOf('spends', 'spend', `${newId}, 'idempotency_key', 'k'`),
    set('spends', 'spend', 'refunded = refunded + 1'),
  ],
  spends_facts_stay: [
    ...['points = points + 1', 'member_id = :bob', `idempotency_key = 'k'`, 'spent_at = now()'],
    'refunded = refunded - 1',
  ].map((text) => set('spends', 'spend', text)),
  spends_kept: [kept('spends')],
  consumption_allocations_points: [
    draws('refunded = points + 1'),
    `INSERT INTO consumption_allocations VALUES (:program, :spend, 9, :none, 0, 0)`,
  ],
  consumption_allocations_program_id_batch_id_spend_id_key: [
    `INSERT INTO consumption_allocations VALUES (:program, :spend, 9, :lot, 1, 0)`,
  ],
  consumption_allocations_facts_stay: [
    draws('points = points + 1'),
    draws('batch_id = :none'),
    draws('position = 9'),
    `UPDATE consumption_allocations SET refunded = 0 WHERE refunded > 0`,
  ],
  consumption_allocations_kept: [kept('consumption_allocations')],
  ledger_entries_balance: [entry(`'SPEND', -200, -180`)],
  ledger_entries_sign: [
    entry(`'AWARD', 0, 15`),
    entry(`'AWARD', -1, 14`),
    entry(`'REFUND', -1, 14`),
    entry(`'SPEND', 1, 16`),
    entry(`'EXPIRE', 1, 16`),
    entry(`'REVERSE', 0, 15`),
    entry(`'ADJUST', 0, 15`),
  ],
  ledger_entries_kept: [
    kept('ledger_entries'),
    `UPDATE ledger_entries SET at = now() WHERE program_id = :program`,
    `UPDATE ledger_entries SET points = points WHERE program_id = :program`,
  ],
  ledger_entries_follow: [entry(`'AWARD', 5, 1000`), entry(`'SPEND', -1, 0`)],
  purchase_refunds_amounts: [
    copyOf('purchase_refunds', 'early', `${newId}, 'refund_id', 'x', 'amount', 0`),
    copyOf('purchase_refunds', 'early', `${newId}, 'refund_id', 'x', 'generation', 0`),
    set('purchase_refunds', 'early', 'reversed = -1'),
    set('purchase_refunds', 'early', 'debt = -1'),
  ],
  purchase_refunds_of_a_purchase: [
    copyOf('purchase_refunds', 'early', `${newId}, 'source', 'MANUAL'`),
  ],
  purchase_refunds_program_id_source_refund_id_key: [copyOf('purchase_refunds', 'early', newId)],
  purchase_refunds_facts_stay: [
    set('purchase_refunds', 'early', 'amount = 11'),
    set('purchase_refunds', 'early', `order_id = 'o-2'`),
    set('purchase_refunds', 'done', 'pending = true'),
    set('purchase_refunds', 'done', 'reversed = 0'),
  ],
  purchase_refunds_kept: [kept('purchase_refunds')],
  events_kept: [kept('events'), `UPDATE events SET data = '{}' WHERE program_id = :program`],
};

test.each(casesOf(violations))('%s refuses: %s', async (rule, sql) => {
  expect(await ruleAgainst(deps.db, { client, sql, ids })).toBe(rule);
});

test('every rule of the ledger is tried here', async () => {
  expect(await rulesOf(client, 'ledger')).toEqual(Object.keys(violations).sort());
});
