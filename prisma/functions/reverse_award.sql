-- Refunds of purchases. What is cancelled of an award is floor(points x refunded so far / amount),
-- so that partial refunds never drift; it is drawn from the award's own lot, then forgone as far as
-- that has expired, then from the member's other lots, oldest first, and what is missing becomes
-- debt.
--
-- Locks: AWARD of the order, MEMBER (both waited for), then the lots in the order of being drawn.
-- Outcomes: REVERSED, WAITING (the award has not arrived), REPEATED, PAYLOAD_DIFFERS, TOO_MUCH.
DROP FUNCTION IF EXISTS reverse_award(uuid, jsonb);
CREATE FUNCTION reverse_award(p_program uuid, p_refund jsonb)
RETURNS TABLE (outcome text, refund_row purchase_refunds, member_id uuid)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_new purchase_refunds := jsonb_populate_record(NULL::purchase_refunds, p_refund);
  v_lot ledger_batches;
  v_now timestamptz;
BEGIN
  PERFORM lock_award(p_program, v_new.source::text, v_new.order_id);
  SELECT * INTO v_lot FROM ledger_batches l
  WHERE l.program_id = p_program AND l.source = v_new.source AND l.order_id = v_new.order_id
    AND l.generation = v_new.generation;
  member_id := v_lot.member_id;
  IF member_id IS NOT NULL THEN
    PERFORM lock_member(p_program, member_id);
  END IF;
  v_now := program_now(p_program);
  SELECT * INTO refund_row FROM purchase_refunds r
  WHERE r.program_id = p_program AND r.source = v_new.source AND r.refund_id = v_new.refund_id;
  IF FOUND THEN
    outcome := CASE WHEN (refund_row.order_id, refund_row.generation, refund_row.amount)
      = (v_new.order_id, v_new.generation, v_new.amount) THEN 'REPEATED' ELSE 'PAYLOAD_DIFFERS' END;
    RETURN NEXT;
    RETURN;
  END IF;
  IF v_lot.refunded + v_new.amount > v_lot.amount THEN
    outcome := 'TOO_MUCH';
    RETURN NEXT;
    RETURN;
  END IF;
  INSERT INTO purchase_refunds
    (program_id, id, source, refund_id, order_id, generation, amount, pending, at)
  VALUES (p_program, v_new.id, v_new.source, v_new.refund_id, v_new.order_id, v_new.generation,
    v_new.amount, true, v_now)
  RETURNING * INTO refund_row;
  outcome := 'WAITING';
  IF v_lot.id IS NOT NULL THEN
    refund_row := apply_refund(p_program, v_lot.id, refund_row, v_now);
    outcome := 'REVERSED';
  END IF;
  RETURN NEXT;
END $$;

-- Those that arrived before their award; together they take back no more than all of it. Answers
-- the lot as it is then.
DROP FUNCTION IF EXISTS apply_waiting_refunds(uuid, ledger_batches, timestamptz);
CREATE FUNCTION apply_waiting_refunds(p_program uuid, p_lot ledger_batches, p_now timestamptz)
RETURNS ledger_batches LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_lot ledger_batches := p_lot;
  v_refund purchase_refunds;
BEGIN
  FOR v_refund IN
    SELECT * FROM purchase_refunds r
    WHERE r.program_id = p_program AND r.source = p_lot.source AND r.order_id = p_lot.order_id
      AND r.generation = p_lot.generation AND r.pending
    ORDER BY r.at, r.id
  LOOP
    PERFORM apply_refund(p_program, p_lot.id, v_refund, p_now);
    SELECT * INTO STRICT v_lot FROM ledger_batches WHERE program_id = p_program AND id = p_lot.id;
  END LOOP;
  RETURN v_lot;
END $$;

-- Within the locks of the award and the member.
CREATE OR REPLACE FUNCTION apply_refund(
  p_program uuid, p_lot uuid, p_refund purchase_refunds, p_now timestamptz)
RETURNS purchase_refunds LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_lot ledger_batches;
  v_refund purchase_refunds;
  v_refunded bigint;
  v_cancel bigint;
  v_forgone bigint;
  v_drawn bigint;
BEGIN
  -- What has expired is written down first, so that it is forgone and not taken.
  PERFORM expire_members(p_program, ARRAY(SELECT member_id FROM ledger_batches
    WHERE program_id = p_program AND id = p_lot), p_now, p_now);
  SELECT * INTO STRICT v_lot FROM ledger_batches
  WHERE program_id = p_program AND id = p_lot FOR UPDATE;
  v_refunded := least(v_lot.amount, v_lot.refunded + p_refund.amount);
  v_cancel := CASE WHEN v_refunded = v_lot.amount THEN v_lot.points
    ELSE floor(v_lot.points::numeric * v_refunded / v_lot.amount)::bigint END - v_lot.cancelled;
  v_forgone := least(greatest(0, v_cancel - v_lot.remaining), v_lot.expired - v_lot.forgone);
  UPDATE ledger_batches SET refunded = v_refunded, cancelled = cancelled + v_cancel,
    forgone = forgone + v_forgone
  WHERE program_id = p_program AND id = p_lot;
  v_drawn := take_back(p_program, v_lot, v_cancel - v_forgone, p_now);
  UPDATE members SET debt = debt + v_cancel - v_forgone - v_drawn
  WHERE program_id = p_program AND id = v_lot.member_id AND v_cancel - v_forgone > v_drawn;
  UPDATE purchase_refunds SET pending = false, reversed = v_drawn,
    debt = v_cancel - v_forgone - v_drawn
  WHERE program_id = p_program AND id = p_refund.id RETURNING * INTO STRICT v_refund;
  -- The share of a small refund may be no point: then nothing has happened that could be told.
  IF v_cancel > 0 THEN
    PERFORM doubt_tier(p_program, v_lot.member_id, p_now);
    PERFORM append_event(p_program, 'points.reversed', v_lot.member_id, jsonb_build_object(
      'batchId', p_lot, 'cancelled', v_cancel, 'reversed', v_drawn, 'debt', v_refund.debt), p_now);
  END IF;
  RETURN v_refund;
END $$;

-- Draws up to `p_points` from the award's own lot, then from the member's others, pending ones
-- included, oldest first. Answers how many there were.
CREATE OR REPLACE FUNCTION take_back(
  p_program uuid, p_lot ledger_batches, p_points bigint, p_now timestamptz)
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_lot record;
  v_left bigint := p_points;
  v_take bigint;
BEGIN
  FOR v_lot IN
    SELECT id, remaining FROM ledger_batches
    WHERE program_id = p_program AND member_id = p_lot.member_id AND remaining > 0
      AND (expires_at IS NULL OR expires_at > p_now)
    ORDER BY (id <> p_lot.id), earned_at, sequence FOR UPDATE
  LOOP
    EXIT WHEN v_left = 0;
    v_take := least(v_left, v_lot.remaining);
    UPDATE ledger_batches SET remaining = remaining - v_take, reversed = reversed + v_take
    WHERE program_id = p_program AND id = v_lot.id;
    PERFORM write_entry(p_program, p_lot.member_id, 'REVERSE', -v_take, v_lot.id, p_now);
    v_left := v_left - v_take;
  END LOOP;
  RETURN p_points - v_left;
END $$;
