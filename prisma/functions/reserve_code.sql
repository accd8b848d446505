-- Holds a code for an order until an instant; the same order extends it. One guarded UPDATE under
-- the row's lock, so it also waits for a redemption of the same code that is under way.
-- Outcomes: RESERVED or a refusal.
DROP FUNCTION IF EXISTS reserve_code(uuid, jsonb);
CREATE FUNCTION reserve_code(p_program uuid, p_item jsonb)
RETURNS TABLE (outcome text, code codes)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_now timestamptz := program_now(p_program);
  v_item redeem_item := (redeem_items_of(p_program, jsonb_build_array(p_item)))[1];
  v_code codes;
  v_pool pools;
BEGIN
  SELECT * INTO v_code FROM codes WHERE program_id = p_program AND id = v_item.code_id
    FOR NO KEY UPDATE;
  SELECT * INTO v_pool FROM pools WHERE program_id = p_program AND id = v_code.pool_id;
  outcome := code_refusal(
    v_code, v_pool, v_item.order_id, v_item.caller_id, v_item.owner_id, v_now);
  -- A reservation is honoured past the end of its pool, and not made or extended there.
  IF outcome IS NULL AND v_now >= v_pool.ends_at THEN
    outcome := 'CODE_EXPIRED';
  END IF;
  IF outcome IS NULL THEN
    UPDATE codes SET reserved_for = v_item.order_id,
      -- Whoever reserves a code knows its text: it can be nobody else's any more.
      revealed_at = coalesce(revealed_at, v_now),
      -- The same order extends it, and never shortens it.
      reserved_until = greatest(
        v_now + make_interval(secs => (p_item->>'ttl_seconds')::int),
        CASE WHEN reserved_for = v_item.order_id THEN reserved_until END)
    WHERE program_id = p_program AND id = v_item.code_id AND status = 'ALLOCATED'
    RETURNING * INTO code;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'a code that was judged reservable was not reserved';
    END IF;
    PERFORM append_event(p_program, 'code.reserved', code.member_id, jsonb_build_object(
      'codeId', code.id, 'poolId', code.pool_id, 'reservedUntil', code.reserved_until), v_now);
    outcome := 'RESERVED';
  END IF;
  RETURN NEXT;
END $$;
