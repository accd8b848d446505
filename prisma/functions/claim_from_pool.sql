-- One pool's part in a batch of claims. Items that it leaves unanswered go on to the next of the
-- chain: the pool is empty, or it is a fallback that issues nothing to this claimant and is passed
-- over.
CREATE OR REPLACE FUNCTION claim_from_pool(
  p_program uuid, p_pool uuid, p_items claim_item[], p_after jsonb, p_now timestamptz)
RETURNS claim_result[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_items claim_item[] := p_items;
  v_results claim_result[];
  v_shortage text;
BEGIN
  -- The asked pool was judged for everybody before.
  IF p_items[1].asked_pool_id <> p_pool THEN
    v_items := ARRAY(
      SELECT i.*::claim_item FROM unnest(p_items) i
      JOIN pools p ON p.program_id = p_program AND p.id = p_pool
      WHERE issue_refusal(p_program, p, i.member_id, (
        SELECT count(DISTINCT h.code_id)
        FROM codes_held(p_program, p_pool, i.member_id, i.email) h),
        p_now) IS NULL
      ORDER BY i.ord);
  END IF;
  IF cardinality(v_items) = 0 THEN
    RETURN '{}';
  END IF;
  v_results := allocate_codes(p_program, p_pool, v_items,
    coalesce((p_after->>p_pool::text)::uuid, '00000000-0000-0000-0000-000000000000'), p_now);
  IF cardinality(v_results) < cardinality(v_items) THEN
    v_shortage := pool_shortage(p_program, p_pool);
    IF v_shortage IS NOT NULL THEN
      v_results := v_results || ARRAY(
        SELECT ROW(i.ord, v_shortage, NULL, p_pool)::claim_result FROM unnest(v_items) i
        WHERE i.ord <> ALL (SELECT r.ord FROM unnest(v_results) r));
    END IF;
  END IF;
  RETURN v_results;
END $$;
