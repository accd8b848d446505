-- Gives back to their pools those of the codes that somebody holds and nobody has seen: whoever
-- held one may claim anew. A reservation or a redemption, also one that was voided, shows that its
-- text is known. The caller has locked the rows.
CREATE OR REPLACE FUNCTION recycle_codes(p_program uuid, p_codes uuid[], p_now timestamptz)
RETURNS uuid[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_recycled uuid[];
BEGIN
  WITH recycled AS (
    UPDATE codes c SET status = 'AVAILABLE', allocated_at = NULL, member_id = NULL,
      owner_match = NULL, claim_email = NULL, claim_key = NULL, asked_pool_id = NULL,
      recipient_id = NULL, revocation_id = NULL
    WHERE c.program_id = p_program AND c.id = ANY (p_codes)
      AND c.status = 'ALLOCATED' AND c.revealed_at IS NULL AND c.reserved_for IS NULL
      AND NOT EXISTS (
        SELECT FROM redemptions r WHERE r.program_id = p_program AND r.code_id = c.id)
    RETURNING c.id, c.pool_id, OLD.member_id),
  told AS (
    INSERT INTO events (program_id, type, member_id, data, at)
    SELECT p_program, 'code.recycled', member_id,
      jsonb_build_object('codeId', id, 'poolId', pool_id), p_now
    FROM recycled ORDER BY id)
  SELECT coalesce(array_agg(id), '{}') INTO v_recycled FROM recycled;
  DELETE FROM claims WHERE program_id = p_program AND code_id = ANY (v_recycled);

  WITH without AS (
    UPDATE campaign_recipients SET code_id = NULL
    WHERE program_id = p_program AND code_id = ANY (v_recycled)
    RETURNING campaign_id)
  UPDATE campaigns c SET issued = issued - w.count
  FROM (SELECT campaign_id, count(*) FROM without GROUP BY campaign_id) w
  WHERE c.program_id = p_program AND c.id = w.campaign_id;
  RETURN v_recycled;
END $$;
