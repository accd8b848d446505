-- Puts points of a spend back into the lots that they came from, newest draw first. Into a lot that
-- has expired meanwhile they come back and expire in the same moment: two lines in the journal.
--
-- Locks: MEMBER (waited for), then the lots. Outcomes: REFUNDED, TOO_MUCH, NO_SUCH_SPEND.
DROP FUNCTION IF EXISTS refund_spend(uuid, uuid, bigint);
CREATE FUNCTION refund_spend(p_program uuid, p_spend uuid, p_points bigint)
RETURNS text LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_spend spends;
  v_draw record;
  v_now timestamptz;
  v_left bigint := p_points;
  v_expired bigint := 0;
BEGIN
  SELECT * INTO v_spend FROM spends WHERE program_id = p_program AND id = p_spend;
  IF NOT FOUND THEN
    RETURN 'NO_SUCH_SPEND';
  END IF;
  PERFORM lock_member(p_program, v_spend.member_id);
  v_now := program_now(p_program);
  SELECT * INTO v_spend FROM spends WHERE program_id = p_program AND id = p_spend;
  IF p_points > v_spend.points - v_spend.refunded THEN
    RETURN 'TOO_MUCH';
  END IF;
  UPDATE spends SET refunded = refunded + p_points WHERE program_id = p_program AND id = p_spend;
  FOR v_draw IN
    SELECT position, batch_id, points - refunded AS left_of_it FROM consumption_allocations
    WHERE program_id = p_program AND spend_id = p_spend AND points > refunded
    ORDER BY position DESC
  LOOP
    EXIT WHEN v_left = 0;
    UPDATE consumption_allocations SET refunded = refunded + least(v_left, v_draw.left_of_it)
    WHERE program_id = p_program AND spend_id = p_spend AND position = v_draw.position;
    v_expired := v_expired
      + give_back(p_program, v_draw.batch_id, least(v_left, v_draw.left_of_it), v_now);
    v_left := v_left - least(v_left, v_draw.left_of_it);
  END LOOP;
  PERFORM append_event(p_program, 'points.refunded', v_spend.member_id,
    jsonb_build_object('spendId', p_spend, 'points', p_points), v_now);
  IF v_expired > 0 THEN
    PERFORM append_event(p_program, 'points.expired', v_spend.member_id,
      jsonb_build_object('points', v_expired), v_now);
  END IF;
  RETURN 'REFUNDED';
END $$;

-- Answers how many of the points expired at once.
DROP FUNCTION IF EXISTS give_back(uuid, uuid, bigint, timestamptz);
CREATE FUNCTION give_back(p_program uuid, p_batch uuid, p_points bigint, p_now timestamptz)
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_lot ledger_batches;
BEGIN
  UPDATE ledger_batches SET drawn = drawn - p_points, remaining = remaining + p_points
  WHERE program_id = p_program AND id = p_batch RETURNING * INTO STRICT v_lot;
  PERFORM write_entry(p_program, v_lot.member_id, 'REFUND', p_points, p_batch, p_now);
  IF v_lot.expires_at <= p_now THEN
    UPDATE ledger_batches SET remaining = remaining - p_points, expired = expired + p_points
    WHERE program_id = p_program AND id = p_batch;
    PERFORM write_entry(p_program, v_lot.member_id, 'EXPIRE', -p_points, p_batch, p_now);
    RETURN p_points;
  END IF;
  PERFORM pay_debt(p_program, v_lot.member_id, p_batch, p_points, p_now);
  RETURN 0;
END $$;
