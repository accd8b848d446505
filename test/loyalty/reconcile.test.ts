/**
 * Every invariant broken by hand, by somebody whom no rule of the database stops: named each time.
 */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unguard } from '../support/corrupt.ts';
import { testDeps } from '../support/database.ts';
import { DAY, NOON, openLedger } from '../support/ledger.ts';

const deps = await testDeps();
const ledger = await openLedger(deps, { settings: { dailyCap: 100, expiryMonths: 1 } });
const client = new pg.Client({ connectionString: deps.config.databaseUrl });
afterAll(() => client.end());

const ids: Record<string, string> = { program: ledger.programId };

beforeAll(async () => {
  const [ann, bob] = [await ledger.member(), await ledger.member()];
  const lot = await ledger.lot(ann, 60, { orderId: 'o-1' });
  const full = await ledger.lot(ann, 60);
  await ledger.lot(ann, 60);
  const spend = await ledger.spent(ann, 70);
  await ledger.refund(spend, 5);
  await ledger.reverse('o-1', 10);
  await ledger.reverse('later', 10);
  const gone = await ledger.lot(bob, 100, { orderId: 'o-2' });
  await ledger.spent(bob, 40);
  await ledger.advance(new Date(NOON.getTime() + 50 * DAY));
  await ledger.reverse('o-2', 100);
  Object.assign(ids, { ann, bob, lot: lot.id, full: full.id, spend, gone: gone.id });
  await client.connect();
  await unguard(client);
});

const OUTSTANDING = 'member.outstanding = sum of the journal';
const REMAINS = 'member.outstanding = sum of what remains of the lots';
const CANCELLED = 'member: cancelled = reversed + forgone + debt';
const KINDS = 'member: lines of the journal of a kind = its lots or spends';
const DATE = 'lot.day = the local date of earnedAt';
const LOT = 'lot.points = remaining + draws - refunds + expired + reversed';
const DRAWN = 'lot.drawn = draws - refunds';
const NEGATIVE = 'lot: nothing is negative';
const DRAWS = 'spend.points = sum of its draws';
const GAVE_BACK = 'spend.refunded = sum of what its draws gave back';
const FOLLOWS = 'entry.balanceAfter = the one before it + points';
const CAP = 'lot: awarded on its day up to it <= its cap';
const REFUNDED = 'lot.refunded = its refunds, up to its amount';
const PENDING = 'refund: pending only while its award is not there';
const SHARE = 'lot.cancelled = the share of its points that was refunded';

const member = (text: string) => `UPDATE members SET ${text} WHERE id = :ann`;
const lot = (text: string, id = 'lot') => `UPDATE ledger_batches SET ${text} WHERE id = :${id}`;
const spend = (text: string) => `UPDATE spends SET ${text} WHERE id = :spend`;
const draw = (text: string) =>
  `UPDATE consumption_allocations SET ${text} WHERE spend_id = :spend AND position = 1`;
const last = `(SELECT max(id) FROM ledger_entries WHERE member_id = :ann)`;
const first = `(SELECT min(id) FROM ledger_entries WHERE member_id = :ann)`;

const corruptions: [string, string[]][] = [
  [member('outstanding = outstanding + 1'), [OUTSTANDING, REMAINS]],
  [member('outstanding = outstanding - 100'), [OUTSTANDING, REMAINS]],
  [member('debt = debt + 1'), [CANCELLED]],
  [member('debt = -1'), [CANCELLED]],
  [lot('remaining = remaining + 1'), [REMAINS, LOT]],
  [lot('remaining = -5, expired = expired + remaining + 5'), [KINDS, REMAINS, NEGATIVE]],
  [lot('expired = expired + 1'), [KINDS, LOT]],
  [lot('reversed = reversed + 1'), [KINDS, CANCELLED, LOT]],
  [lot('reversed = reversed - 1, expired = expired + 1', 'full'), [KINDS, KINDS, CANCELLED]],
  [lot('points = points + 1'), [KINDS, LOT, CAP]],
  [lot('drawn = drawn + 1'), [DRAWN]],
  [lot('cancelled = cancelled + 1'), [CANCELLED, SHARE]],
  [lot('forgone = forgone + 1', 'gone'), [CANCELLED]],
  [lot('refunded = refunded + 6'), [REFUNDED, SHARE]],
  [lot('cap = 99', 'full'), [CAP]],
  [lot('day = day + 1'), [DATE]],
  [lot('member_id = :bob'), [KINDS, KINDS, CANCELLED, CANCELLED, CAP]],
  [spend('points = points + 1'), [KINDS, DRAWS]],
  [spend('refunded = refunded + 1'), [KINDS, GAVE_BACK]],
  [spend('member_id = :bob'), [KINDS, KINDS, KINDS, KINDS]],
  [draw('points = points + 1'), [LOT, DRAWN, DRAWS]],
  [draw('refunded = refunded + 1'), [LOT, DRAWN, GAVE_BACK]],
  [
    'DELETE FROM consumption_allocations WHERE spend_id = :spend',
    [LOT, LOT, DRAWN, DRAWN, DRAWS, GAVE_BACK],
  ],
  ['DELETE FROM spends WHERE id = :spend', [KINDS, KINDS]],
  [
    `UPDATE ledger_entries SET points = points + 1 WHERE id = ${last}`,
    [OUTSTANDING, KINDS, FOLLOWS],
  ],
  [`UPDATE ledger_entries SET kind = 'REVERSE' WHERE id = ${last}`, [KINDS, KINDS]],
  [`UPDATE ledger_entries SET balance_after = 1000 WHERE id = ${last}`, [FOLLOWS]],
  [`UPDATE ledger_entries SET balance_after = 1000 WHERE id = ${first}`, [FOLLOWS, FOLLOWS]],
  [`DELETE FROM ledger_entries WHERE id = ${last}`, [OUTSTANDING, KINDS]],
  [`DELETE FROM ledger_entries WHERE id = ${first}`, [OUTSTANDING, KINDS, FOLLOWS]],
  [`DELETE FROM purchase_refunds WHERE order_id = 'o-1'`, [REFUNDED]],
  [`UPDATE purchase_refunds SET pending = true WHERE order_id = 'o-1'`, [PENDING, REFUNDED]],
  [`UPDATE purchase_refunds SET order_id = 'o-1' WHERE order_id = 'later'`, [PENDING]],
  ['DELETE FROM ledger_batches WHERE id = :lot', [KINDS, CANCELLED]],
];

const bound = (statement: string) =>
  statement.replace(/(?<!:):([a-z]+)\b/g, (text, name) =>
    ids[name] ? `'${ids[name]}'::uuid` : text,
  );

test('what the engine wrote has no difference', async () => {
  expect(await ledger.differences()).toEqual([]);
});

test.each(corruptions)('%s is named', async (statement, invariants) => {
  await client.query('BEGIN');
  try {
    const changed = await client.query(bound(statement));
    expect(changed.rowCount).toBeGreaterThan(0);
    const { rows } = await client.query<{ invariant: string; subject: string }>(
      'SELECT invariant, subject, expected, actual FROM reconcile_points($1)',
      [ledger.programId],
    );
    expect(rows.map((row) => row.invariant).sort()).toEqual([...invariants].sort());
  } finally {
    await client.query('ROLLBACK');
  }
});
