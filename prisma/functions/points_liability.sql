-- What is outstanding at an instant, as the journal's clock tells it: every movement of every lot
-- up to then, of the lots that have not expired by then, swept or not.
CREATE OR REPLACE FUNCTION points_outstanding(p_program uuid, p_at timestamptz)
RETURNS TABLE (expires_at timestamptz, points bigint) LANGUAGE sql STABLE AS $$
  SELECT l.expires_at, sum(m.points)::bigint FROM (
    SELECT batch_id, points FROM ledger_entries
    WHERE program_id = p_program AND batch_id IS NOT NULL AND at <= p_at
    UNION ALL
    SELECT a.batch_id, -a.points FROM spends s
    JOIN consumption_allocations a ON a.program_id = s.program_id AND a.spend_id = s.id
    WHERE s.program_id = p_program AND s.spent_at <= p_at) m
  JOIN ledger_batches l ON l.program_id = p_program AND l.id = m.batch_id
  WHERE l.expires_at IS NULL OR l.expires_at > p_at
  GROUP BY l.expires_at
$$;

-- The roll-forward between two instants: opening + awarded - spent - expired - reversed + refunded
-- = closing. What expired is what makes it so: a lot counts as expired from its day on.
CREATE OR REPLACE FUNCTION points_liability(p_program uuid, p_from timestamptz, p_to timestamptz)
RETURNS TABLE (opening bigint, awarded bigint, spent bigint, reversed bigint, refunded bigint,
  closing bigint, value bigint) LANGUAGE sql STABLE AS $$
  SELECT o.points, m.awarded, m.spent, m.reversed, m.refunded, c.points,
    round(c.points * p.point_value)::bigint
  FROM programs p
  CROSS JOIN LATERAL (SELECT coalesce(sum(points), 0)::bigint AS points
    FROM points_outstanding(p_program, p_from)) o
  CROSS JOIN LATERAL (SELECT coalesce(sum(points), 0)::bigint AS points
    FROM points_outstanding(p_program, p_to)) c
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(points) FILTER (WHERE kind = 'AWARD'), 0)::bigint AS awarded,
      coalesce(-sum(points) FILTER (WHERE kind = 'SPEND'), 0)::bigint AS spent,
      coalesce(-sum(points) FILTER (WHERE kind = 'REVERSE'), 0)::bigint AS reversed,
      coalesce(sum(points) FILTER (WHERE kind = 'REFUND'), 0)::bigint AS refunded
    FROM ledger_entries WHERE program_id = p_program AND at > p_from AND at <= p_to) m
  WHERE p.id = p_program
$$;
