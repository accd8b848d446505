-- Gives codes to some of a campaign's recipients, as if each of them had claimed, but hands out
-- nothing: the text waits. What the campaign knows of it is noted in the same transaction, so
-- whoever dies in the middle has done all of it or nothing. A recipient who has a code of the pool
-- already keeps that one; a refusal is kept with its recipient. Answers who is to be asked for
-- again, AGAIN or TOP_UP (with the pool to mint for); and, without a recipient, the code that was
-- taken last, with its pool.
--
-- Locks: as claim_codes, at most 500 for 160 recipients.
DROP FUNCTION IF EXISTS issue_codes(uuid, uuid, uuid[], jsonb);
CREATE FUNCTION issue_codes(p_program uuid, p_campaign uuid, p_recipients uuid[], p_after jsonb)
RETURNS TABLE (recipient uuid, outcome text, pool uuid, code uuid)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_items jsonb;
  v_results claim_result[];
  v_refused int[];
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

  v_results := settle_claims(p_program, v_items, p_after);
  v_refused := ARRAY(SELECT a.ord FROM unnest(v_results) a
    WHERE a.code_id IS NULL AND a.outcome NOT IN ('AGAIN', 'TOP_UP'));
  IF cardinality(v_refused) > 0 THEN
    UPDATE campaign_recipients r SET refusal = a.outcome
    FROM unnest(v_results) a
    -- Named twice, so that no plan, whatever it believes of the table, begins with other rows.
    WHERE r.program_id = p_program AND r.id = ANY (p_recipients)
      AND a.ord = ANY (v_refused) AND r.id = p_recipients[a.ord]
      -- Whose code was claimed, and revoked, since the items were read is refused, but has one.
      AND r.code_id IS NULL AND r.refusal IS DISTINCT FROM a.outcome;
  END IF;

  RETURN QUERY
  SELECT p_recipients[a.ord], a.outcome, a.top_up_pool_id, NULL::uuid FROM unnest(v_results) a
  WHERE a.outcome IN ('AGAIN', 'TOP_UP')
  UNION ALL
  SELECT NULL, 'CLAIMED', c.pool_id, c.id FROM codes c
  WHERE c.program_id = p_program AND c.id = (
    SELECT a.code_id FROM unnest(v_results) a WHERE a.outcome = 'CLAIMED'
    ORDER BY a.code_id DESC LIMIT 1);
END $$;
