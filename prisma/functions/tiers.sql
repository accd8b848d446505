-- The rules of tiers. Points that count are those of purchases of the last twelve months, pending
-- ones included, less what refunds took back of them: never the balance, no bonus, no grant.

CREATE OR REPLACE FUNCTION qualifying_lots(p_program uuid, p_member uuid, p_day date)
RETURNS TABLE (day date, points bigint) LANGUAGE sql STABLE AS $$
  SELECT l.day, l.points - l.cancelled FROM ledger_batches l
  WHERE l.program_id = p_program AND l.member_id = p_member AND l.order_id IS NOT NULL
    AND l.day > (p_day - interval '12 months')::date AND l.day <= p_day
$$;

-- The first day on which a purchase of this day counts no longer. Twelve months before 28 February
-- may be a day too early to lose the 29th of a leap year: that one counts until the 28th is over.
CREATE OR REPLACE FUNCTION counts_until(p_day date)
RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (p_day + interval '12 months')::date
    + CASE WHEN p_day + interval '12 months' - interval '12 months' = p_day THEN 0 ELSE 1 END
$$;

-- The highest rank whose points are reached; a threshold is inclusive, the first one is 0.
CREATE OR REPLACE FUNCTION rank_of(p_program uuid, p_points bigint)
RETURNS int LANGUAGE sql STABLE AS $$
  SELECT rank FROM tiers WHERE program_id = p_program AND qualify_points <= p_points
  ORDER BY rank DESC LIMIT 1
$$;

-- A tier as it is now, for a history that outlives it.
CREATE OR REPLACE FUNCTION tier_snapshot(p_tier tiers)
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('id', p_tier.id, 'rank', p_tier.rank, 'name', p_tier.name,
    'qualifyPoints', p_tier.qualify_points, 'maintainPoints', p_tier.maintain_points,
    'multiplier', p_tier.multiplier)
$$;
