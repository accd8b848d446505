-- What a purchase of this amount earns this member: the same computation for the preview and for
-- the award, which calls it under the member's lock. The day's total comes from the ledger; a
-- reversal gives no room back, so it counts what was awarded and not what is left of it.
CREATE OR REPLACE FUNCTION quote_award(
  p_program programs, p_member uuid, p_amount bigint, p_occurred timestamptz)
RETURNS TABLE (base bigint, multiplier int, requested bigint, day date, used bigint,
  cap_remaining bigint, awarded bigint, zero_reason zero_reason)
LANGUAGE plpgsql STABLE AS $$
BEGIN
  SELECT t.multiplier INTO multiplier FROM members m
  JOIN tiers t ON t.program_id = m.program_id AND t.id = m.tier_id
  WHERE m.program_id = p_program.id AND m.id = p_member;
  base := receipt_points(p_program, p_amount, 10000);
  requested := receipt_points(p_program, p_amount, multiplier);
  day := day_of(p_program.id, p_occurred);
  IF p_program.daily_cap IS NOT NULL THEN
    SELECT coalesce(sum(l.points), 0) INTO used FROM ledger_batches l
    WHERE l.program_id = p_program.id AND l.member_id = p_member AND l.day = quote_award.day
      AND l.order_id IS NOT NULL;
    cap_remaining := greatest(0, p_program.daily_cap - used);
  END IF;
  awarded := least(requested, cap_remaining);
  zero_reason := CASE
    WHEN awarded > 0 THEN NULL
    WHEN p_amount < p_program.min_amount THEN 'BELOW_MINIMUM'
    WHEN requested = 0 THEN 'ZERO_RATE'
    ELSE 'CAPPED' END;
  RETURN NEXT;
END $$;
