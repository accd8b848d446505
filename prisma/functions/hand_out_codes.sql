-- Settles what is held: codes whose text their holders were not given yet (UNSEEN: issued by a
-- campaign, or put in the place of a revoked one) are handed out, which is recorded like the
-- hand-out of a fresh claim; to an item without an actor nothing is handed out. Of a recipient of
-- whom no code is noted yet it is every code, because it is about to be noted. Under the lock of
-- its row: a code may be going back to its pool at this moment, or be replaced. One that is gone,
-- or whose row is taken, comes back with a later call.
CREATE OR REPLACE FUNCTION hand_out_codes(
  p_program uuid, p_items claim_item[], p_results claim_result[], p_now timestamptz)
RETURNS claim_result[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_asked int[];
  v_codes uuid[];
  v_seen uuid[];
BEGIN
  v_asked := ARRAY(
    SELECT r.ord FROM unnest(p_results) r JOIN unnest(p_items) i ON i.ord = r.ord
    WHERE r.outcome = 'UNSEEN' OR r.outcome = 'HELD' AND i.recipient_id IS NOT NULL
      AND (SELECT n.code_id FROM campaign_recipients n
        WHERE n.program_id = p_program AND n.id = i.recipient_id LIMIT 1) IS NULL);
  v_codes := ARRAY(
    SELECT c.id FROM codes c
    WHERE c.program_id = p_program AND c.id = ANY (ARRAY(
        SELECT r.code_id FROM unnest(p_results) r WHERE r.ord = ANY (v_asked)))
      AND c.status IN ('ALLOCATED', 'REDEEMED')
      AND EXISTS (
        SELECT FROM unnest(p_results) r JOIN unnest(p_items) i ON i.ord = r.ord
        WHERE r.code_id = c.id AND CASE WHEN i.member_id IS NULL
          THEN c.member_id IS NULL AND i.email = c.claim_email
          ELSE i.member_id = c.member_id END)
    ORDER BY c.id FOR NO KEY UPDATE SKIP LOCKED);

  WITH seen AS (
    INSERT INTO code_reveals (program_id, code_id, kind, actor, at)
    SELECT p_program, r.code_id, 'CLAIM', i.actor, p_now
    FROM unnest(p_results) r JOIN unnest(p_items) i ON i.ord = r.ord
    WHERE r.outcome = 'UNSEEN' AND r.code_id = ANY (v_codes) AND i.actor IS NOT NULL
    RETURNING code_id)
  SELECT array_agg(code_id) INTO v_seen FROM seen;
  UPDATE codes SET revealed_at = p_now
  WHERE program_id = p_program AND id = ANY (v_seen) AND revealed_at IS NULL;

  RETURN ARRAY(
    SELECT CASE WHEN r.ord <> ALL (v_asked) THEN r
      WHEN r.code_id = ANY (v_codes) THEN ROW(r.ord, 'HELD', r.code_id, NULL)::claim_result
      ELSE ROW(r.ord, 'AGAIN', NULL, NULL)::claim_result END
    FROM unnest(p_results) r);
END $$;
