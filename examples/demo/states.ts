/**
 * Everything that a ledger holds for one member, as lists in one shape: after the plain ledger, and
 * by SQL, which is asked without the engine. A lot is named by its place among the member's lots.
 */
import type pg from 'pg';
import type { Lot, Oracle } from '../../test/support/oracle.ts';
import type { TiersOracle } from '../../test/support/tiers-oracle.ts';

/** JSON: what differs need only be seen to differ. */
export type State = Record<
  'account' | 'lots' | 'spends' | 'journal' | 'tier' | 'warnings',
  unknown
>;

export function stateOf(ledger: TiersOracle): State {
  const [holder] = ledger.holders as [Oracle['holders'][number]];
  const { rank, graceEnds, history, warnings } = ledger.standing(holder.id);
  const place = (lot: Lot | null) => (lot === null ? null : ledger.lots.indexOf(lot));
  return {
    account: [ledger.outstanding(holder.id), holder.debt],
    lots: ledger.lots.map((lot) => [
      ...[lot.source, lot.order, lot.generation, lot.amount, lot.requested, lot.points],
      ...[lot.remaining, drawnFrom(ledger, lot), lot.expired, lot.reversed, lot.cancelled],
      ...[lot.forgone, lot.refunded, lot.zero, lot.day, lot.cap],
      ...[lot.earnedAt, lot.maturesAt, lot.expiresAt],
    ]),
    spends: ledger.spends.map((spend) => [
      ...[spend.key, spend.points, spend.refunded],
      spend.draws.map((draw) => [place(draw.lot), draw.points, draw.refunded]),
    ]),
    journal: ledger.entries.map((entry) => [
      ...[entry.kind, entry.points, entry.after, place(entry.lot), entry.at],
    ]),
    tier: [
      ...[rank, graceEnds === null ? null : ledger.days.startOf(graceEnds)],
      history.map((change) => [change.from, change.to, change.reason, change.at]),
    ],
    warnings,
  };
}

function drawnFrom(ledger: Oracle, lot: Lot): number {
  let drawn = 0;
  for (const spend of ledger.spends)
    for (const draw of spend.draws) if (draw.lot === lot) drawn += draw.points - draw.refunded;
  return drawn;
}

/** By the shop's own ids. */
export async function readStates(client: pg.Client, programId: string) {
  const { rows } = await client.query<State & { customer: string }>(STATES, [programId]);
  return new Map(rows.map(({ customer, ...state }) => [customer, state as State]));
}

const ms = (column: string) => `floor(extract(epoch FROM ${column}) * 1000)::bigint`;

const STATES = `
  WITH places AS (
    SELECT *, row_number() OVER (PARTITION BY member_id ORDER BY sequence) - 1 AS place
    FROM ledger_batches WHERE program_id = $1
  ), lots AS (
    SELECT member_id, json_agg(json_build_array(source, order_id, generation, amount, requested,
      points, remaining, drawn, expired, reversed, cancelled, forgone, refunded, zero_reason, day,
      cap, ${ms('earned_at')}, ${ms('matures_at')}, ${ms('expires_at')}) ORDER BY place) AS list
    FROM places GROUP BY member_id
  ), draws AS (
    SELECT a.spend_id,
      json_agg(json_build_array(l.place, a.points, a.refunded) ORDER BY a.position) AS list
    FROM consumption_allocations a JOIN places l ON l.id = a.batch_id
    WHERE a.program_id = $1 GROUP BY a.spend_id
  ), spends AS (
    SELECT s.member_id, json_agg(
      json_build_array(s.idempotency_key, s.points, s.refunded, d.list) ORDER BY s.id) AS list
    FROM spends s LEFT JOIN draws d ON d.spend_id = s.id
    WHERE s.program_id = $1 GROUP BY s.member_id
  ), journal AS (
    SELECT e.member_id, json_agg(json_build_array(e.kind, e.points, e.balance_after, l.place,
      ${ms('e.at')}) ORDER BY e.id) AS list
    FROM ledger_entries e LEFT JOIN places l ON l.id = e.batch_id
    WHERE e.program_id = $1 GROUP BY e.member_id
  ), changes AS (
    SELECT member_id, json_agg(json_build_array(from_rank, to_rank, reason, ${ms('at')})
      ORDER BY id) AS list
    FROM tier_changes WHERE program_id = $1 GROUP BY member_id
  ), warnings AS (
    SELECT e.member_id, json_agg((e.at AT TIME ZONE p.time_zone)::date ORDER BY e.id) AS list
    FROM events e JOIN programs p ON p.id = e.program_id
    WHERE e.program_id = $1 AND e.type = 'tier.grace_warning' GROUP BY e.member_id
  )
  SELECT m.external_id AS customer, json_build_array(m.outstanding, m.debt) AS account,
    coalesce(l.list, '[]') AS lots, coalesce(s.list, '[]') AS spends,
    coalesce(j.list, '[]') AS journal, json_build_array(t.rank, ${ms('m.grace_ends_at')},
      coalesce(c.list, '[]')) AS tier, coalesce(w.list, '[]') AS warnings
  FROM members m
  JOIN tiers t ON t.program_id = m.program_id AND t.id = m.tier_id
  LEFT JOIN lots l ON l.member_id = m.id
  LEFT JOIN spends s ON s.member_id = m.id
  LEFT JOIN journal j ON j.member_id = m.id
  LEFT JOIN changes c ON c.member_id = m.id
  LEFT JOIN warnings w ON w.member_id = m.id
  WHERE m.program_id = $1`;
