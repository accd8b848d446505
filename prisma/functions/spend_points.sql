-- Spends that arrived together, in one transaction. It never waits and never fails for one item.
--
-- Locks: MEMBER (tried), then the lots in the order of being drawn.
-- Outcomes: SPENT, REPEATED, PAYLOAD_DIFFERS, INSUFFICIENT_POINTS (nothing is written),
-- NO_SUCH_MEMBER, AGAIN. Items: ord, and of the spend its id, member_id, points, reason and
-- idempotency_key.
DROP FUNCTION IF EXISTS spend_points(uuid, jsonb);
CREATE FUNCTION spend_points(p_program uuid, p_items jsonb)
RETURNS TABLE (ord int, outcome text, spend spends)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_program programs;
  v_ready boolean[];
  v_item jsonb;
  v_place bigint;
BEGIN
  SELECT * INTO STRICT v_program FROM programs WHERE id = p_program;
  -- All locks before the first write: see award_points.
  v_ready := ARRAY(SELECT try_lock_member(p_program, (i->>'member_id')::uuid)
    FROM jsonb_array_elements(p_items) WITH ORDINALITY AS items(i, place) ORDER BY place);
  FOR v_item, v_place IN SELECT * FROM jsonb_array_elements(p_items) WITH ORDINALITY LOOP
    IF v_ready[v_place] THEN
      RETURN QUERY SELECT (v_item->'ord')::int, s.outcome, s.spend
      FROM spend_one(v_program, jsonb_populate_record(NULL::spends, v_item)) s;
    ELSE
      RETURN QUERY SELECT (v_item->'ord')::int, 'AGAIN', NULL::spends;
    END IF;
  END LOOP;
END $$;

-- One spend, within its lock.
CREATE OR REPLACE FUNCTION spend_one(
  p_program programs, p_spend spends, OUT outcome text, OUT spend spends)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_open refcursor;
  v_now timestamptz;
  v_lot record;
  v_lots uuid[] := '{}';
  v_draws bigint[] := '{}';
  v_left bigint := p_spend.points;
BEGIN
  SELECT * INTO spend FROM spends s
  WHERE s.program_id = p_program.id AND s.idempotency_key = p_spend.idempotency_key;
  IF FOUND THEN
    outcome := CASE WHEN (spend.member_id, spend.points) = (p_spend.member_id, p_spend.points)
      THEN 'REPEATED' ELSE 'PAYLOAD_DIFFERS' END;
    RETURN;
  END IF;
  PERFORM FROM members WHERE program_id = p_program.id AND id = p_spend.member_id;
  IF NOT FOUND THEN
    outcome := 'NO_SUCH_MEMBER';
    RETURN;
  END IF;
  -- Read under the lock: a time from before it could be older than the journal's last line.
  v_now := program_now(p_program.id);
  -- Looked at first and drawn afterwards: a spend that is refused has written nothing. One lot at a
  -- time, so that a spend costs by the lots that it draws from.
  v_open := open_lots(p_program, p_spend.member_id, v_now);
  WHILE v_left > 0 LOOP
    FETCH v_open INTO v_lot;
    EXIT WHEN NOT FOUND;
    v_lots := v_lots || v_lot.id;
    v_draws := v_draws || least(v_left, v_lot.remaining);
    v_left := v_left - least(v_left, v_lot.remaining);
  END LOOP;
  CLOSE v_open;
  IF v_left > 0 THEN
    outcome := 'INSUFFICIENT_POINTS';
    RETURN;
  END IF;
  spend := draw_lots(p_program.id, p_spend, v_lots, v_draws, v_now);
  outcome := 'SPENT';
END $$;

-- Matured, not expired, with points left: oldest first, or first to expire where a program says so.
CREATE OR REPLACE FUNCTION open_lots(p_program programs, p_member uuid, p_now timestamptz)
RETURNS refcursor LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_open refcursor;
BEGIN
  IF p_program.spend_order = 'OLDEST_EARNED' THEN
    OPEN v_open FOR SELECT id, remaining FROM ledger_batches
      WHERE program_id = p_program.id AND member_id = p_member AND remaining > 0
        AND matures_at <= p_now AND (expires_at IS NULL OR expires_at > p_now)
      ORDER BY earned_at, sequence FOR UPDATE;
  ELSE
    OPEN v_open FOR SELECT id, remaining FROM ledger_batches
      WHERE program_id = p_program.id AND member_id = p_member AND remaining > 0
        AND matures_at <= p_now AND (expires_at IS NULL OR expires_at > p_now)
      ORDER BY expires_at, earned_at, sequence FOR UPDATE;
  END IF;
  RETURN v_open;
END $$;

CREATE OR REPLACE FUNCTION draw_lots(
  p_program uuid, p_spend spends, p_lots uuid[], p_draws bigint[], p_now timestamptz)
RETURNS spends LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_spend spends;
  v_changed int;
BEGIN
  INSERT INTO spends (program_id, id, member_id, points, reason, idempotency_key, spent_at)
  VALUES (p_program, p_spend.id, p_spend.member_id, p_spend.points, p_spend.reason,
    p_spend.idempotency_key, p_now)
  RETURNING * INTO v_spend;
  UPDATE ledger_batches l SET remaining = l.remaining - d.points, drawn = l.drawn + d.points
  FROM unnest(p_lots, p_draws) AS d(id, points)
  WHERE l.program_id = p_program AND l.id = d.id;
  GET DIAGNOSTICS v_changed = ROW_COUNT;
  IF v_changed <> cardinality(p_lots) THEN
    RAISE EXCEPTION 'drew from % lots instead of %', v_changed, cardinality(p_lots);
  END IF;
  INSERT INTO consumption_allocations (program_id, spend_id, position, batch_id, points)
  SELECT p_program, p_spend.id, d.position, d.id, d.points
  FROM unnest(p_lots, p_draws) WITH ORDINALITY AS d(id, points, position);
  PERFORM write_entry(p_program, p_spend.member_id, 'SPEND', -p_spend.points, NULL,
    p_now);
  PERFORM append_event(p_program, 'points.spent', p_spend.member_id,
    jsonb_build_object('spendId', p_spend.id, 'points', p_spend.points), p_now);
  RETURN v_spend;
END $$;
