-- What campaigns know of the codes that their recipients have: written down in the transaction in
-- which they get or lose them, whoever asked.
--
-- The rows of recipients need no order: whoever notes one holds the identity's lock, and nobody
-- notes one who has a code. Those of the campaigns come last of all.
CREATE OR REPLACE FUNCTION note_recipients(
  p_program uuid, p_items claim_item[], p_results claim_result[])
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_ids uuid[];
  v_codes uuid[];
  v_campaigns uuid[];
BEGIN
  SELECT array_agg(i.recipient_id), array_agg(r.code_id) INTO v_ids, v_codes
  FROM unnest(p_items) i JOIN unnest(p_results) r ON r.ord = i.ord
  WHERE i.recipient_id IS NOT NULL AND r.outcome IN ('CLAIMED', 'HELD');
  WITH noted AS (
    UPDATE campaign_recipients SET code_id = v_codes[array_position(v_ids, id)], refusal = NULL
    WHERE program_id = p_program AND id = ANY (v_ids) AND code_id IS NULL
    RETURNING campaign_id)
  SELECT coalesce(array_agg(campaign_id), '{}') INTO v_campaigns FROM noted;
  PERFORM count_issued(p_program, v_campaigns, 1);
END $$;

-- One more (1) or less (-1) for each time that a campaign is named. A campaign of which somebody
-- lost a code is ISSUED no longer; one that was through but for a few is, once they have claimed,
-- which is told as by the run that is through.
CREATE OR REPLACE FUNCTION count_issued(p_program uuid, p_campaigns uuid[], p_by int)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF cardinality(p_campaigns) = 0 THEN
    RETURN;
  END IF;
  PERFORM id FROM campaigns WHERE program_id = p_program AND id = ANY (p_campaigns)
  ORDER BY id FOR NO KEY UPDATE;
  WITH counted AS (
    UPDATE campaigns c SET issued = c.issued + n.change,
      status = CASE WHEN c.status = 'ISSUED' AND n.change < 0 THEN 'DRAFT'
        WHEN c.status = 'FAILED' AND c.issued + n.change = c.recipients THEN 'ISSUED'
        ELSE c.status END
    FROM (SELECT id, p_by * count(*) AS change FROM unnest(p_campaigns) id GROUP BY id) n
    WHERE c.program_id = p_program AND c.id = ANY (p_campaigns) AND c.id = n.id
    RETURNING c.*, OLD.status AS before)
  INSERT INTO events (program_id, type, data, at)
  SELECT p_program, 'campaign.issued', jsonb_build_object('campaignId', id, 'poolId', pool_id,
    'recipients', recipients, 'issued', issued), program_now(p_program)
  FROM counted WHERE status = 'ISSUED' AND before = 'FAILED' ORDER BY id;
END $$;
