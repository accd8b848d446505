-- The one way in which points come into the ledger: the lot, its line in the journal, and the debt
-- that they pay. Awards, grants and bonuses all end here, within the member's lock. `p_lot` says
-- who, why and how many; the days of maturing and expiry follow from when it was earned.
CREATE OR REPLACE FUNCTION earn_points(p_program programs, p_lot ledger_batches, p_now timestamptz)
RETURNS ledger_batches LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_lot ledger_batches := p_lot;
BEGIN
  v_lot.day := coalesce(p_lot.day, day_of(p_program.id, v_lot.earned_at));
  v_lot.matures_at := CASE p_program.maturity_days WHEN 0 THEN v_lot.earned_at
    ELSE day_start(p_program.id, v_lot.day + p_program.maturity_days) END;
  -- An end of a month stays one: a date plus months is cut to the month's last day.
  v_lot.expires_at := coalesce(v_lot.expires_at, day_start(p_program.id,
    (v_lot.day + make_interval(months => p_program.expiry_months))::date + 1));
  INSERT INTO ledger_batches (program_id, id, member_id, source, order_id, generation, amount,
    requested, points, remaining, zero_reason, day, cap, reason, occasion, earned_at, matures_at,
    expires_at, created_at)
  VALUES (p_program.id, v_lot.id, v_lot.member_id, v_lot.source, v_lot.order_id, v_lot.generation,
    v_lot.amount, v_lot.requested, v_lot.points, v_lot.points, v_lot.zero_reason, v_lot.day,
    v_lot.cap, v_lot.reason, v_lot.occasion, v_lot.earned_at, v_lot.matures_at, v_lot.expires_at,
    p_now)
  RETURNING * INTO STRICT v_lot;
  IF v_lot.points > 0 THEN
    PERFORM write_entry(p_program.id, v_lot.member_id, 'AWARD', v_lot.points, v_lot.id, p_now);
    PERFORM append_event(p_program.id, 'points.awarded', v_lot.member_id, jsonb_build_object(
      'batchId', v_lot.id, 'source', v_lot.source, 'points', v_lot.points), p_now);
    IF (v_lot.expires_at IS NULL OR v_lot.expires_at > p_now)
        AND pay_debt(p_program.id, v_lot.member_id, v_lot.id, v_lot.points, p_now) > 0 THEN
      SELECT * INTO STRICT v_lot FROM ledger_batches
      WHERE program_id = p_program.id AND id = v_lot.id;
    END IF;
  END IF;
  RETURN v_lot;
END $$;
