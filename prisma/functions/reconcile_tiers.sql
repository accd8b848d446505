-- What ties out in the tiers of a program: a row for each difference, as reconcile_points has them.
-- A tier is where its member's last change led, and where there was none it is the first one. The
-- day on which it is judged next never lies behind the one on which it could begin to fall short;
-- and whoever is not due before tomorrow has reached no rank above his own.
CREATE OR REPLACE FUNCTION reconcile_tiers(p_program uuid)
RETURNS TABLE (invariant text, subject text, expected numeric, actual numeric)
LANGUAGE sql STABLE AS $$
  WITH today AS MATERIALIZED (SELECT day_of(p_program, program_now(p_program)) AS day),
  people AS MATERIALIZED (
    SELECT m.id, m.grace_ends_at, m.tier_due, t.rank, t.maintain_points, m.ladder_version,
      p.ladder_version AS newest
    FROM members m JOIN programs p ON p.id = m.program_id
    JOIN tiers t ON t.program_id = m.program_id AND t.id = m.tier_id
    WHERE m.program_id = p_program),
  steps AS MATERIALIZED (
    SELECT id, member_id, from_rank, to_rank, regained_at, from_rank > to_rank AS is_down,
      lag(to_rank, 1, 1) OVER (PARTITION BY member_id ORDER BY id) AS before,
      lead(id) OVER (PARTITION BY member_id ORDER BY id) IS NULL AS is_last
    FROM tier_changes WHERE program_id = p_program),
  -- By the ladder of today.
  judged AS MATERIALIZED (
    SELECT o.*, e.points, today.day AS today,
      CASE WHEN e.points < o.maintain_points THEN today.day + 1
      ELSE greatest(counts_until(e.falls), today.day + 1) END AS falls
    FROM people o CROSS JOIN today CROSS JOIN LATERAL (
      SELECT coalesce(sum(l.points), 0)::bigint AS points,
        min(l.day) FILTER (WHERE coalesce(l.later, 0) < o.maintain_points) AS falls
      FROM (SELECT q.day, q.points, sum(q.points) OVER (
          ORDER BY q.day DESC GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS later
        FROM qualifying_lots(p_program, o.id, today.day) q) l) e
    WHERE o.ladder_version = o.newest)
  SELECT 'member.tier = where its last change led, else the first', o.id::text,
    coalesce(s.to_rank, 1)::numeric, o.rank::numeric
    FROM people o LEFT JOIN steps s ON s.member_id = o.id AND s.is_last
    WHERE o.rank <> coalesce(s.to_rank, 1)
  UNION ALL SELECT 'change of tier: it begins where the one before it led', id::text, before,
    from_rank FROM steps WHERE from_rank <> before
  UNION ALL SELECT 'member: a grace only on a rank above the first', id::text, 0, 1
    FROM people WHERE grace_ends_at IS NOT NULL AND rank = 1
  UNION ALL SELECT 'member: a grace is judged again before it is over', o.id::text,
    to_char(day_of(p_program, o.grace_ends_at), 'YYYYMMDD')::numeric,
    coalesce(to_char(o.tier_due, 'YYYYMMDD')::numeric, 0)
    FROM people o WHERE o.grace_ends_at IS NOT NULL
      AND (o.tier_due IS NULL OR o.tier_due > day_of(p_program, o.grace_ends_at))
  UNION ALL SELECT 'member: a tier is judged again before its points can fall short', id::text,
    to_char(falls, 'YYYYMMDD')::numeric, coalesce(to_char(tier_due, 'YYYYMMDD')::numeric, 0)
    FROM judged WHERE maintain_points > 0 AND grace_ends_at IS NULL
      AND (tier_due IS NULL OR tier_due > falls)
  UNION ALL SELECT 'member: on the highest rank that was reached', id::text,
    rank_of(p_program, points), rank FROM judged
    WHERE (tier_due IS NULL OR tier_due > today) AND rank < rank_of(p_program, points)
  UNION ALL SELECT 'member: judged by a ladder that there is', id::text, newest, ladder_version
    FROM people WHERE ladder_version > newest
  UNION ALL SELECT 'downgrade: lost until an upgrade has made it good', s.id::text, s.from_rank - 1,
    o.rank FROM steps s JOIN people o ON o.id = s.member_id
    WHERE s.is_down AND s.regained_at IS NULL AND o.rank >= s.from_rank
  UNION ALL SELECT 'bonus: for a downgrade of its member that was made good', l.id::text, 1, 0
    FROM ledger_batches l WHERE l.program_id = p_program AND l.source = 'REUPGRADE'
      AND NOT EXISTS (SELECT FROM steps s WHERE s.member_id = l.member_id
        AND s.id::text = l.occasion AND s.is_down AND s.regained_at IS NOT NULL)
$$;
