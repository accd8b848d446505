-- Awards for purchases that arrived together, in one transaction. It never waits and never fails
-- for one item.
--
-- Locks: AWARD of the order (tried), MEMBER (tried). An item that misses one is answered AGAIN.
-- Outcomes: AWARDED, REPEATED (the first result), CAP_TRACKER_UNAVAILABLE (nothing is written),
-- PAYLOAD_DIFFERS, EARLIER_GENERATION_OPEN, TOO_EARLY, TOO_LATE, NO_SUCH_MEMBER, AGAIN.
-- Items: ord, tracked (whether the cap's tracker answered), and of the lot its id, member_id,
-- source, order_id, generation, amount, and earned_at where the purchase did not happen just now.
DROP FUNCTION IF EXISTS award_points(uuid, jsonb);
CREATE FUNCTION award_points(p_program uuid, p_items jsonb)
RETURNS TABLE (ord int, outcome text, lot ledger_batches, day_total bigint)
LANGUAGE plpgsql VOLATILE SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_program programs;
  v_ready boolean[];
  v_item jsonb;
  v_place bigint;
BEGIN
  SELECT * INTO STRICT v_program FROM programs WHERE id = p_program;
  -- All locks before the first write, which gives the transaction its number: a member's events are
  -- read in the order of these numbers.
  v_ready := ARRAY(SELECT try_lock_award(p_program, i->>'source', i->>'order_id')
      AND try_lock_member(p_program, (i->>'member_id')::uuid)
    FROM jsonb_array_elements(p_items) WITH ORDINALITY AS items(i, place) ORDER BY place);
  FOR v_item, v_place IN SELECT * FROM jsonb_array_elements(p_items) WITH ORDINALITY LOOP
    IF v_ready[v_place] THEN
      RETURN QUERY SELECT (v_item->'ord')::int, a.outcome, a.lot, a.day_total
      FROM award_one(v_program, jsonb_populate_record(NULL::ledger_batches, v_item),
        (v_item->'tracked')::boolean) a;
    ELSE
      RETURN QUERY SELECT (v_item->'ord')::int, 'AGAIN', NULL::ledger_batches, NULL::bigint;
    END IF;
  END LOOP;
END $$;

-- One purchase, within its locks. `p_lot` names it; `earned_at` is when it happened, null for now.
CREATE OR REPLACE FUNCTION award_one(
  p_program programs, p_lot ledger_batches, p_tracked boolean,
  OUT outcome text, OUT lot ledger_batches, OUT day_total bigint)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_lot ledger_batches := p_lot;
  v_quote record;
  v_now timestamptz;
BEGIN
  -- Read under the locks: a time from before them could be older than the journal's last line.
  v_now := program_now(p_program.id);
  SELECT * INTO lot FROM ledger_batches l
  WHERE l.program_id = p_program.id AND l.source = p_lot.source AND l.order_id = p_lot.order_id
    AND l.generation = p_lot.generation;
  IF FOUND THEN
    outcome := CASE WHEN (lot.member_id, lot.amount) = (p_lot.member_id, p_lot.amount)
      THEN 'REPEATED' ELSE 'PAYLOAD_DIFFERS' END;
    RETURN;
  END IF;
  outcome := award_refusal(p_program, p_lot, v_now);
  IF outcome IS NOT NULL THEN
    PERFORM FROM members WHERE program_id = p_program.id AND id = p_lot.member_id;
    IF NOT FOUND THEN
      outcome := 'NO_SUCH_MEMBER';
    END IF;
    RETURN;
  END IF;
  -- A clock that is a little ahead is not a purchase of the future.
  v_lot.earned_at := least(coalesce(p_lot.earned_at, v_now), v_now);
  SELECT * INTO v_quote FROM quote_award(p_program, v_lot.member_id, v_lot.amount, v_lot.earned_at);
  IF v_quote.multiplier IS NULL THEN
    outcome := 'NO_SUCH_MEMBER';
    RETURN;
  END IF;
  IF p_program.daily_cap IS NOT NULL AND v_quote.requested > 0 THEN
    IF NOT p_tracked THEN
      outcome := 'CAP_TRACKER_UNAVAILABLE';
      RETURN;
    END IF;
    v_lot.cap := p_program.daily_cap;
    day_total := v_quote.used + v_quote.awarded;
  END IF;
  v_lot.day := v_quote.day;
  v_lot.requested := v_quote.requested;
  v_lot.points := v_quote.awarded;
  v_lot.zero_reason := v_quote.zero_reason;
  lot := earn_points(p_program, v_lot, v_now);
  lot := apply_waiting_refunds(p_program.id, lot, v_now);
  PERFORM raise_tier(p_program, lot.member_id, v_now);
  outcome := 'AWARDED';
END $$;

-- Why a purchase is not awarded, whoever made it.
CREATE OR REPLACE FUNCTION award_refusal(
  p_program programs, p_lot ledger_batches, p_now timestamptz)
RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF p_lot.earned_at > p_now + interval '5 minutes' THEN
    RETURN 'TOO_LATE';
  END IF;
  IF p_lot.earned_at < p_now - make_interval(days => p_program.max_backdate_days) THEN
    RETURN 'TOO_EARLY';
  END IF;
  IF p_lot.generation > 1 AND NOT EXISTS (
      SELECT FROM ledger_batches l
      WHERE l.program_id = p_program.id AND l.source = p_lot.source
        AND l.order_id = p_lot.order_id AND l.generation = p_lot.generation - 1
        AND l.refunded = l.amount) THEN
    RETURN 'EARLIER_GENERATION_OPEN';
  END IF;
  RETURN NULL;
END $$;
