-- What a day means for the tiers of these members: only of those for whom something is due. Nothing
-- is written. Verdicts: KEPT, BEGUN (a grace), RUNNING, CLEARED, and with a `reason` DOWN (by one)
-- and UP: what the ladder of before did not give, or what was bought after a day that was missed,
-- by somebody whom that day has only now taken a rank. `due`: the next day on which there may be
-- something to find.
--
-- Without a grace that is the day on which the points fall below what the tier needs when nothing
-- is bought until then: an award can only put it off, a refund sees to it by itself. In a grace it
-- is that of the next warning or of the end. While days are made up for, it is no later than the
-- next one with a purchase, which has been awarded already: by it something may be regained.
DROP FUNCTION IF EXISTS judge_tiers(programs, date, uuid[], timestamptz);
CREATE FUNCTION judge_tiers(
  p_program programs, p_day date, p_members uuid[], p_now timestamptz)
RETURNS TABLE (member_id uuid, tier_id uuid, rank int, earned bigint, maintain bigint,
  verdict text, to_rank int, reason tier_change_reason, ends_at timestamptz, warns int,
  warned int, due date)
LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_start timestamptz := day_start(p_program.id, p_day);
  v_end timestamptz := day_start(p_program.id, p_day + p_program.grace_days);
  v_is_late boolean := day_of(p_program.id, p_now) > p_day;
BEGIN
  RETURN QUERY
  SELECT m.id, t.id, t.rank, e.points, t.maintain_points, j.verdict,
    CASE j.verdict WHEN 'UP' THEN u.to_rank WHEN 'DOWN' THEN t.rank - 1 END,
    CASE j.verdict WHEN 'DOWN' THEN 'GRACE_OVER' WHEN 'UP' THEN CASE WHEN u.is_stale
      THEN 'LADDER_CHANGED' ELSE 'QUALIFIED' END END::tier_change_reason,
    g.ends_at, w.warns, CASE WHEN g.ends_at IS NOT NULL THEN coalesce(w.warns, m.grace_warned) END,
    least(
      CASE WHEN g.ends_at IS NULL THEN counts_until(e.falls)
        ELSE p_day + g.days - coalesce((
          SELECT max(d) FROM unnest(p_program.grace_warning_days) d WHERE d < g.days), 0) END,
      CASE WHEN v_is_late THEN (
        SELECT min(l.day) FROM ledger_batches l
        WHERE l.program_id = m.program_id AND l.member_id = m.id AND l.order_id IS NOT NULL
          AND l.day > p_day) END)
  FROM members m
  JOIN tiers t ON t.program_id = m.program_id AND t.id = m.tier_id
  LEFT JOIN tiers higher ON higher.program_id = t.program_id AND higher.rank = t.rank + 1
  -- A purchase's day is the one with which the rest falls short when it counts no longer.
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(l.points), 0)::bigint AS points,
      min(l.day) FILTER (WHERE coalesce(l.later, 0) < t.maintain_points) AS falls
    FROM (SELECT q.day, q.points, sum(q.points) OVER (
        ORDER BY q.day DESC GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS later
      FROM qualifying_lots(p_program.id, m.id, p_day) q) l) e
  CROSS JOIN LATERAL (
    SELECT CASE WHEN e.points >= higher.qualify_points
        THEN rank_of(p_program.id, e.points) END AS to_rank,
      m.ladder_version < p_program.ladder_version AS is_stale OFFSET 0) u
  CROSS JOIN LATERAL (
    SELECT CASE
      WHEN u.to_rank > t.rank THEN 'UP'
      WHEN e.points >= t.maintain_points
        THEN CASE WHEN m.grace_ends_at IS NULL THEN 'KEPT' ELSE 'CLEARED' END
      -- A grace of no days is over when it begins.
      WHEN coalesce(m.grace_ends_at, v_end) <= v_start THEN 'DOWN'
      WHEN m.grace_ends_at IS NULL THEN 'BEGUN'
      ELSE 'RUNNING' END AS verdict) j
  CROSS JOIN LATERAL (
    SELECT f.ends_at, CASE WHEN f.ends_at IS NOT NULL
      THEN day_of(p_program.id, f.ends_at) - p_day END AS days
    FROM (SELECT CASE j.verdict WHEN 'BEGUN' THEN v_end WHEN 'RUNNING' THEN m.grace_ends_at END
      AS ends_at) f OFFSET 0) g
  CROSS JOIN LATERAL (
    SELECT CASE WHEN g.days = ANY (p_program.grace_warning_days)
        AND g.days < coalesce(m.grace_warned, g.days + 1) THEN g.days END AS warns) w
  WHERE m.program_id = p_program.id AND m.id = ANY (p_members)
    AND (m.tier_due <= p_day OR m.ladder_version < p_program.ladder_version
      AND NOT moved_since(p_program.id, m.id, p_day));
END $$;

-- A rank is judged from the day after it was reached or lost, whatever ladder has come meanwhile.
CREATE OR REPLACE FUNCTION moved_since(p_program uuid, p_member uuid, p_day date)
RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT FROM tier_changes
    WHERE program_id = p_program AND member_id = p_member AND day >= p_day)
$$;
