-- Claims that arrived together, in one transaction. It never waits and never fails for one item: an
-- item whose lock or row is taken is answered AGAIN, and comes back with a later call. Only for the
-- row of a campaign whose recipient is among them it waits at the end, as every count of one does.
--
-- Locks: IDENTITY (tried, in sorted order), POOL shared (tried), code rows (skipped when locked);
-- of recipients their rows, and those of their campaigns.
-- Outcomes: HELD (the code that this identity has already), CLAIMED, AGAIN, TOP_UP (with the pool
-- to mint for), NO_SUCH_POOL, NO_SUCH_CLAIMANT, or a refusal. Items: ord, pool_id, one of
-- member_id, email and recipient_id, claim_key (without one any code that is held will do), actor
-- (who is given the text; without one the code is issued, and its text waits). `p_after`: for a
-- pool, the code that this process took last (see allocate_codes).
DROP FUNCTION IF EXISTS claim_codes(uuid, jsonb, jsonb);
CREATE FUNCTION claim_codes(p_program uuid, p_items jsonb, p_after jsonb)
RETURNS TABLE (ord int, outcome text, top_up_pool_id uuid, code codes)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_results claim_result[] := settle_claims(p_program, p_items, p_after);
BEGIN
  RETURN QUERY
  SELECT r.ord, r.outcome, r.top_up_pool_id, c::codes
  FROM unnest(v_results) r
  LEFT JOIN LATERAL (SELECT * FROM codes c
    WHERE c.program_id = p_program AND c.id = r.code_id LIMIT 1) c ON true;
END $$;

-- The same, for whoever needs no more of a code than its id. Within a function that sets how its
-- statements are planned.
CREATE OR REPLACE FUNCTION settle_claims(p_program uuid, p_items jsonb, p_after jsonb)
RETURNS claim_result[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_now timestamptz := program_now(p_program);
  v_before claim_item[] := claimants_of(p_program, p_items);
  v_chains pool_link[] := pool_chains(p_program, v_before);
  v_ready int[];
  v_items claim_item[];
  v_named boolean;
  v_open claim_item[];
  v_results claim_result[];
  v_step record;
BEGIN
  v_ready := lock_claims(p_program, v_before, v_chains);

  -- Read again under the locks: who the claimant is may have changed while they were taken, and
  -- then there is a key that is not locked.
  SELECT coalesce(array_agg(i.*::claim_item), '{}') INTO v_items
  FROM unnest(claimants_of(p_program, p_items)) i
  JOIN unnest(v_before) b ON b.ord = i.ord AND b.keys = i.keys
  WHERE i.ord = ANY (v_ready);

  SELECT coalesce(array_agg(r.*::claim_result), '{}') INTO v_results
  FROM judge_claims(p_program, v_items, v_now) r WHERE r.outcome <> 'OPEN';
  v_named := EXISTS (SELECT FROM unnest(v_items) i WHERE i.recipient_id IS NOT NULL);
  IF v_named OR EXISTS (SELECT FROM unnest(v_results) r WHERE r.outcome = 'UNSEEN') THEN
    v_results := hand_out_codes(p_program, v_items, v_results, v_now);
  END IF;

  v_open := ARRAY(SELECT i.*::claim_item FROM unnest(v_items) i
    WHERE i.ord <> ALL (ARRAY(SELECT r.ord FROM unnest(v_results) r)) ORDER BY i.ord);

  -- Pool after pool down the chains, the asked ones first. Usually this is one round.
  FOR v_step IN
    SELECT l.depth, l.pool_id, l.asked_id FROM unnest(v_chains) l
    WHERE l.asked_id IN (SELECT o.asked_pool_id FROM unnest(v_open) o)
    ORDER BY l.depth, l.pool_id
  LOOP
    EXIT WHEN cardinality(v_open) = 0;
    v_results := v_results || claim_from_pool(p_program, v_step.pool_id,
      ARRAY(SELECT o.*::claim_item FROM unnest(v_open) o WHERE o.asked_pool_id = v_step.asked_id),
      p_after, v_now);
    v_open := ARRAY(SELECT o.*::claim_item FROM unnest(v_open) o
      WHERE o.ord <> ALL (ARRAY(SELECT r.ord FROM unnest(v_results) r)) ORDER BY o.ord);
  END LOOP;

  IF v_named THEN
    PERFORM note_recipients(p_program, v_items, v_results);
  END IF;

  RETURN v_results || ARRAY(
    SELECT ROW(i.ord, CASE WHEN o.ord IS NULL THEN 'AGAIN' ELSE 'POOL_EXHAUSTED' END,
      NULL, NULL)::claim_result
    FROM unnest(v_before) i LEFT JOIN unnest(v_open) o ON o.ord = i.ord
    WHERE i.ord <> ALL (ARRAY(SELECT r.ord FROM unnest(v_results) r)));
END $$;
