-- One page of a bulk revocation. Redeemed codes are left alone. A code whose text somebody was
-- given is retired, and with replacements its holder gets a fresh one of the same pool, which
-- nobody has seen, in its place of the limit; when there is none left it is retired all the same,
-- because its text is out. A code that nobody has seen goes back to its pool, unless it is the pool
-- or the batch that is withdrawn.
--
-- Locks: the revocation's row, then code rows in the order of their ids, waited for; then the free
-- codes that are given, those of their recipients and their campaigns.
CREATE OR REPLACE FUNCTION revoke_codes(p_program uuid, p_revocation uuid, p_limit int)
RETURNS revocations LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_now timestamptz := program_now(p_program);
  v_job revocations;
  v_page record;
  v_codes uuid[];
  v_recycled uuid[] := '{}';
  v_revoked uuid[];
  v_replaced int := 0;
BEGIN
  SELECT * INTO STRICT v_job FROM revocations
  WHERE program_id = p_program AND id = p_revocation FOR NO KEY UPDATE;
  IF v_job.finished_at IS NOT NULL THEN
    RETURN v_job;
  END IF;
  SELECT * INTO v_page FROM codes_to_revoke(p_program, v_job, p_limit);
  -- What a code is now is judged once its row is had: it may have got another holder meanwhile.
  v_codes := ARRAY(
    SELECT id FROM codes c WHERE program_id = p_program AND id = ANY (v_page.codes)
      AND (v_job.campaign_id IS NULL OR EXISTS (
        SELECT FROM campaign_recipients r WHERE r.program_id = p_program
          AND r.id = c.recipient_id AND r.campaign_id = v_job.campaign_id))
    ORDER BY id FOR NO KEY UPDATE);
  -- The revocation's row gave this transaction its number, by which its events are read. Where a
  -- later transaction has told something of a code meanwhile, the page is done anew.
  IF EXISTS (SELECT FROM codes c
    WHERE c.program_id = p_program AND c.id = ANY (v_codes) AND age(c.xmin) < 0) THEN
    RAISE EXCEPTION 'a code was changed by a later transaction' USING ERRCODE = '40001';
  END IF;

  IF v_job.replace OR v_job.campaign_id IS NOT NULL THEN
    v_recycled := recycle_codes(p_program, v_codes, v_now);
  END IF;
  WITH revoked AS (
    UPDATE codes SET status = 'REVOKED', revoked_at = v_now,
      revoke_reason = v_job.reason, reserved_for = NULL, reserved_until = NULL,
      revocation_id = v_job.id
    WHERE program_id = p_program AND id = ANY (v_codes) AND (status = 'ALLOCATED'
      OR status = 'AVAILABLE' AND NOT v_job.replace AND v_job.campaign_id IS NULL)
    RETURNING id, pool_id, member_id),
  told AS (
    INSERT INTO events (program_id, type, member_id, data, at)
    SELECT p_program, 'code.revoked', member_id,
      jsonb_build_object('codeId', id, 'poolId', pool_id), v_now
    FROM revoked ORDER BY id)
  SELECT coalesce(array_agg(id), '{}') INTO v_revoked FROM revoked;
  IF v_job.replace THEN
    v_replaced := replace_codes(p_program, v_job.id, v_revoked, v_now);
  END IF;

  UPDATE revocations SET after = v_page.after, revoked = revoked + cardinality(v_revoked),
    recycled = recycled + cardinality(v_recycled), replaced = replaced + v_replaced,
    finished_at = CASE WHEN v_page.size < p_limit THEN v_now END
  WHERE program_id = p_program AND id = v_job.id RETURNING * INTO STRICT v_job;
  RETURN v_job;
END $$;
