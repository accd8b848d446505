-- Gives codes to some of a campaign's recipients, as if each of them had claimed, but hands out
-- nothing: the text waits. What the campaign knows of it is noted in the same transaction, so
-- whoever dies in the middle has done all of it or nothing. A recipient who has a code of the pool
-- already keeps that one; a refusal is kept with its recipient. Answers what became of those who
-- lacked a code, AGAIN and TOP_UP (with the pool to mint for) being for the caller to ask again.
--
-- Locks: as claim_codes, at most 500 for 160 recipients.
DROP FUNCTION IF EXISTS issue_codes(uuid, uuid, uuid[], jsonb);
CREATE FUNCTION issue_codes(p_program uuid, p_campaign uuid, p_recipients uuid[], p_after jsonb)
RETURNS TABLE (recipient uuid, outcome text, pool uuid, code uuid)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_items jsonb;
  v_ids uuid[];
  v_outcomes text[];
  v_pools uuid[];
  v_codes uuid[];
BEGIN
  SELECT jsonb_agg(jsonb_build_object('ord', i.ord, 'pool_id', c.pool_id, 'recipient_id', i.id))
  INTO v_items
  FROM campaigns c
  CROSS JOIN unnest(p_recipients) WITH ORDINALITY AS i(id, ord)
  CROSS JOIN LATERAL (SELECT r.code_id FROM campaign_recipients r
    WHERE r.program_id = p_program AND r.id = i.id LIMIT 1) r
  WHERE c.program_id = p_program AND c.id = p_campaign AND r.code_id IS NULL;
  IF v_items IS NULL THEN
    RETURN;
  END IF;

  SELECT array_agg(p_recipients[a.ord]), array_agg(a.outcome), array_agg((a.code).id),
    array_agg(coalesce((a.code).pool_id, a.top_up_pool_id))
  INTO v_ids, v_outcomes, v_codes, v_pools
  FROM claim_codes(p_program, v_items, p_after) a;

  UPDATE campaign_recipients r SET refusal = i.outcome
  FROM unnest(v_ids, v_outcomes, v_codes) AS i(id, outcome, code)
  -- Named twice, so that no plan, whatever it believes of the table, begins with other rows.
  WHERE r.program_id = p_program AND r.id = ANY (v_ids) AND r.id = i.id AND i.code IS NULL
    AND i.outcome NOT IN ('AGAIN', 'TOP_UP') AND r.refusal IS DISTINCT FROM i.outcome;

  RETURN QUERY SELECT * FROM unnest(v_ids, v_outcomes, v_pools, v_codes);
END $$;
