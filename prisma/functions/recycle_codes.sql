-- Those of the codes that somebody holds and nobody knows: none of them was handed out, read,
-- reserved or spent, nor was a redemption of it voided. With replacements, one that took the place
-- of another counts as known: whoever had that one is to have a code again. The caller has locked
-- the rows.
DROP FUNCTION IF EXISTS unknown_codes(uuid, uuid[]);
CREATE OR REPLACE FUNCTION unknown_codes(p_program uuid, p_job revocations, p_codes uuid[])
RETURNS uuid[] LANGUAGE sql STABLE AS $$
  SELECT coalesce(array_agg(c.id), '{}') FROM codes c
  WHERE c.program_id = p_program AND c.id = ANY (p_codes)
    AND c.status = 'ALLOCATED' AND c.revealed_at IS NULL
    AND (c.revocation_id IS NULL OR NOT p_job.replace)
    AND NOT EXISTS (
      SELECT FROM redemptions r WHERE r.program_id = p_program AND r.code_id = c.id)
$$;

-- Gives codes that nobody knows back to their pools: whoever held one may claim anew. The caller
-- has locked the rows. Answers, for each recipient who has no code any more, the campaign: its
-- count is for the caller to set right, at the very end (see note_recipients.sql).
DROP FUNCTION IF EXISTS recycle_codes(uuid, uuid[], timestamptz);
CREATE FUNCTION recycle_codes(p_program uuid, p_codes uuid[], p_now timestamptz)
RETURNS uuid[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_recycled int;
  v_without uuid[];
BEGIN
  WITH recycled AS (
    UPDATE codes c SET status = 'AVAILABLE', allocated_at = NULL, member_id = NULL,
      owner_match = NULL, claim_email = NULL, claim_key = NULL, asked_pool_id = NULL,
      recipient_id = NULL, revocation_id = NULL
    WHERE c.program_id = p_program AND c.id = ANY (p_codes)
      AND c.status = 'ALLOCATED' AND c.revealed_at IS NULL
    RETURNING c.id, c.pool_id, OLD.member_id),
  told AS (
    INSERT INTO events (program_id, type, member_id, data, at)
    SELECT p_program, 'code.recycled', member_id,
      jsonb_build_object('codeId', id, 'poolId', pool_id), p_now
    FROM recycled ORDER BY id)
  SELECT count(*) INTO v_recycled FROM recycled;
  IF v_recycled <> cardinality(p_codes) THEN
    RAISE EXCEPTION 'recycled % codes instead of %', v_recycled, cardinality(p_codes);
  END IF;
  DELETE FROM claims WHERE program_id = p_program AND code_id = ANY (p_codes);

  WITH without AS (
    UPDATE campaign_recipients SET code_id = NULL
    WHERE program_id = p_program AND code_id = ANY (p_codes)
    RETURNING campaign_id)
  SELECT coalesce(array_agg(campaign_id), '{}') INTO v_without FROM without;
  RETURN v_without;
END $$;
