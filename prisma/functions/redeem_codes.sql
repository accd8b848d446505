-- Redemptions that arrived together, in one transaction. It never waits and never fails for one
-- item.
--
-- Locks: ORDER (tried, in sorted order), then the code rows in id order (skipped when locked).
-- Outcomes: REDEEMED, REPEATED (the same code and order again: the first answer), AGAIN, or a
-- refusal.
-- Items: ord, hashes (the code's index under every look-up key, hex), order_id, order_amount,
-- redemption_id, caller_id and owner_id (see code_refusal).
DROP FUNCTION IF EXISTS redeem_codes(uuid, jsonb);
CREATE FUNCTION redeem_codes(p_program uuid, p_items jsonb)
RETURNS TABLE (ord int, outcome text, code codes, redemption redemptions)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_now timestamptz := program_now(p_program);
  v_found redeem_item[] := redeem_items_of(p_program, p_items);
  v_ready int[] := lock_redemptions(p_program, v_found);
  v_items redeem_item[];
  v_redeemed int;
BEGIN
  v_items := judge_redemptions(p_program, ARRAY(
    SELECT i.*::redeem_item FROM unnest(v_found) i
    WHERE i.ord = ANY (v_ready) AND NOT EXISTS (
      -- The first row that was locked gave this transaction its number, by which its events are
      -- read. A code that a later transaction has changed since comes back with the next one.
      SELECT FROM codes c
      WHERE c.program_id = p_program AND c.id = i.code_id AND began_later(c.xmin))), v_now);

  UPDATE codes c SET status = 'REDEEMED', redeemed_at = v_now,
    reserved_for = NULL, reserved_until = NULL
  FROM unnest(v_items) i
  -- Named twice, so that no plan, whatever it believes of the table, begins with other codes.
  WHERE c.program_id = p_program AND c.id = ANY (ARRAY(SELECT n.code_id FROM unnest(v_items) n))
    AND c.id = i.code_id AND i.outcome = 'REDEEMED'
    AND c.status = 'ALLOCATED'
    AND (c.reserved_until IS NULL OR c.reserved_until <= v_now OR c.reserved_for = i.order_id);
  GET DIAGNOSTICS v_redeemed = ROW_COUNT;
  IF v_redeemed <> (SELECT count(*) FROM unnest(v_items) i WHERE i.outcome = 'REDEEMED') THEN
    RAISE EXCEPTION 'redeemed % codes, not as many as were judged to be', v_redeemed;
  END IF;

  WITH made AS (
    INSERT INTO redemptions (program_id, id, code_id, order_id, order_amount, discount_amount,
      stackable, redeemed_at)
    SELECT p_program, i.redemption_id, i.code_id, i.order_id, i.order_amount,
      discount_of(p, i.order_amount), p.stackable, v_now
    FROM unnest(v_items) i
    JOIN codes c ON c.program_id = p_program AND c.id = i.code_id
    JOIN pools p ON p.program_id = p_program AND p.id = c.pool_id
    WHERE i.outcome = 'REDEEMED'
    RETURNING *)
  INSERT INTO events (program_id, type, member_id, data, at)
  SELECT p_program, 'code.redeemed', c.member_id, jsonb_build_object(
    'codeId', c.id, 'poolId', c.pool_id, 'redemptionId', m.id, 'orderAmount', m.order_amount,
    'discountAmount', m.discount_amount), v_now
  FROM made m
  CROSS JOIN LATERAL (SELECT id, pool_id, member_id FROM codes
    WHERE program_id = p_program AND id = m.code_id LIMIT 1) c;

  RETURN QUERY
  SELECT f.ord, coalesce(i.outcome, 'AGAIN'), c::codes, r::redemptions
  FROM unnest(v_found) f
  LEFT JOIN unnest(v_items) i ON i.ord = f.ord
  LEFT JOIN LATERAL (SELECT * FROM redemptions r
    WHERE r.program_id = p_program AND r.id = i.redemption_id LIMIT 1) r ON true
  LEFT JOIN LATERAL (SELECT * FROM codes c
    WHERE c.program_id = p_program AND c.id = r.code_id LIMIT 1) c ON true;
END $$;
