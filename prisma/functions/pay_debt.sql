-- Points that have just come into a lot pay what refunds could not take back, before anybody can
-- spend them. Answers how many. Within the member's lock.
CREATE OR REPLACE FUNCTION pay_debt(
  p_program uuid, p_member uuid, p_batch uuid, p_points bigint, p_now timestamptz)
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_paid bigint;
BEGIN
  SELECT least(debt, p_points) INTO STRICT v_paid FROM members
  WHERE program_id = p_program AND id = p_member;
  IF v_paid = 0 THEN
    RETURN 0;
  END IF;
  UPDATE members SET debt = debt - v_paid WHERE program_id = p_program AND id = p_member;
  UPDATE ledger_batches SET remaining = remaining - v_paid, reversed = reversed + v_paid
  WHERE program_id = p_program AND id = p_batch;
  PERFORM write_entry(p_program, p_member, 'REVERSE', -v_paid, p_batch, p_now);
  PERFORM append_event(p_program, 'points.debt_paid', p_member,
    jsonb_build_object('batchId', p_batch, 'points', v_paid), p_now);
  RETURN v_paid;
END $$;
