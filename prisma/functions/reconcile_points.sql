-- Everything that ties out in the points of a program, read by one statement a check. A row for
-- each difference: what should have been equal, of whom, what it ought to be and what it is. A lot
-- of no points is not held to its cap: the cap may have been lowered when the day was full already.
CREATE OR REPLACE FUNCTION reconcile_points(p_program uuid)
RETURNS TABLE (invariant text, subject text, expected numeric, actual numeric)
LANGUAGE sql STABLE AS $$
  WITH lots AS (
    SELECT l.*, coalesce(d.net, 0) AS net_drawn FROM ledger_batches l
    LEFT JOIN (SELECT batch_id, sum(points - refunded) AS net FROM consumption_allocations
      WHERE program_id = p_program GROUP BY batch_id) d ON d.batch_id = l.id
    WHERE l.program_id = p_program),
  of_member AS (
    SELECT member_id, sum(remaining) AS remaining, sum(cancelled) AS cancelled,
      sum(reversed + forgone) AS taken FROM lots GROUP BY member_id),
  journal AS (
    SELECT member_id, sum(points) AS points FROM ledger_entries
    WHERE program_id = p_program GROUP BY member_id),
  people AS (
    SELECT m.id, m.outstanding, m.debt, coalesce(o.remaining, 0) AS remaining,
      coalesce(o.cancelled, 0) AS cancelled, coalesce(o.taken, 0) AS taken,
      coalesce(j.points, 0) AS journal
    FROM members m LEFT JOIN of_member o ON o.member_id = m.id
    LEFT JOIN journal j ON j.member_id = m.id WHERE m.program_id = p_program),
  told AS (
    SELECT member_id, kind, sum(points) AS points FROM ledger_entries
    WHERE program_id = p_program GROUP BY member_id, kind),
  done AS (
    SELECT member_id, kind, sum(points) AS points FROM (
      SELECT member_id, k.kind, k.points FROM lots, LATERAL (VALUES
        ('AWARD', points), ('EXPIRE', -expired), ('REVERSE', -reversed)) k (kind, points)
      UNION ALL
      SELECT member_id, k.kind, k.points FROM spends, LATERAL (VALUES
        ('SPEND', -points), ('REFUND', refunded)) k (kind, points)
      WHERE program_id = p_program) movements GROUP BY member_id, kind),
  lines AS (
    SELECT id, points, balance_after,
      lag(balance_after, 1, 0::bigint) OVER (PARTITION BY member_id ORDER BY id) AS before
    FROM ledger_entries WHERE program_id = p_program),
  days AS (
    SELECT id, points, cap,
      sum(points) OVER (PARTITION BY member_id, day ORDER BY sequence) AS awarded
    FROM lots WHERE order_id IS NOT NULL),
  shares AS (
    SELECT l.id, l.refunded, l.cancelled, least(l.amount, coalesce(r.amount, 0)) AS refunds,
      CASE WHEN l.amount = 0 THEN 0 ELSE div(l.points::numeric * l.refunded, l.amount) END AS share
    FROM lots l LEFT JOIN (SELECT source, order_id, generation, sum(amount) AS amount
      FROM purchase_refunds WHERE program_id = p_program AND NOT pending
      GROUP BY source, order_id, generation) r
      ON (r.source, r.order_id, r.generation) = (l.source, l.order_id, l.generation)
    WHERE l.order_id IS NOT NULL),
  drawn AS (
    SELECT s.id, s.points, s.refunded, coalesce(sum(a.points), 0) AS draws,
      coalesce(sum(a.refunded), 0) AS returned
    FROM spends s LEFT JOIN consumption_allocations a
      ON a.program_id = s.program_id AND a.spend_id = s.id
    WHERE s.program_id = p_program GROUP BY s.id, s.points, s.refunded)
  SELECT 'member.outstanding = sum of the journal', id::text, journal, outstanding
    FROM people WHERE journal <> outstanding
  UNION ALL SELECT 'member.outstanding = sum of what remains of the lots', id::text, remaining,
    outstanding FROM people WHERE remaining <> outstanding
  UNION ALL SELECT 'member: cancelled = reversed + forgone + debt', id::text, cancelled,
    taken + debt FROM people WHERE cancelled <> taken + debt
  UNION ALL SELECT 'member: lines of the journal of a kind = its lots or spends',
    member_id::text || ' ' || kind, coalesce(d.points, 0), coalesce(t.points, 0)
    FROM (SELECT member_id, kind::text, points FROM told) t FULL JOIN done d
    USING (member_id, kind) WHERE coalesce(d.points, 0) <> coalesce(t.points, 0)
  UNION ALL SELECT 'lot.day = the local date of earnedAt', l.id::text,
    to_char(l.earned_at AT TIME ZONE p.time_zone, 'YYYYMMDD')::numeric,
    to_char(l.day, 'YYYYMMDD')::numeric
    FROM lots l JOIN programs p ON p.id = p_program
    WHERE l.day <> (l.earned_at AT TIME ZONE p.time_zone)::date
  UNION ALL SELECT 'lot.points = remaining + draws - refunds + expired + reversed', id::text,
    points, remaining + net_drawn + expired + reversed
    FROM lots WHERE points <> remaining + net_drawn + expired + reversed
  UNION ALL SELECT 'lot.drawn = draws - refunds', id::text, net_drawn, drawn
    FROM lots WHERE net_drawn <> drawn
  UNION ALL SELECT 'lot: nothing is negative', id::text, 0,
    least(points, remaining, net_drawn, expired, reversed)
    FROM lots WHERE least(points, remaining, net_drawn, expired, reversed) < 0
  UNION ALL SELECT 'spend.points = sum of its draws', id::text, points, draws
    FROM drawn WHERE points <> draws
  UNION ALL SELECT 'spend.refunded = sum of what its draws gave back', id::text, refunded, returned
    FROM drawn WHERE refunded <> returned
  UNION ALL SELECT 'entry.balanceAfter = the one before it + points', id::text, before + points,
    balance_after FROM lines WHERE balance_after <> before + points
  UNION ALL SELECT 'lot: awarded on its day up to it <= its cap', id::text, cap, awarded
    FROM days WHERE points > 0 AND awarded > cap
  UNION ALL SELECT 'lot.refunded = its refunds, up to its amount', id::text, refunds, refunded
    FROM shares WHERE refunded <> refunds
  UNION ALL SELECT 'refund: pending only while its award is not there', r.id::text, 0, 1
    FROM purchase_refunds r JOIN lots l
      ON (l.source, l.order_id, l.generation) = (r.source, r.order_id, r.generation)
    WHERE r.program_id = p_program AND r.pending
  UNION ALL SELECT 'lot.cancelled = the share of its points that was refunded', id::text, share,
    cancelled FROM shares WHERE cancelled <> share
$$;
