-- Records that the texts of codes are given to somebody who does not claim them, and answers those
-- that may be. Each comes as it was looked up: a code that nobody has seen may have gone back to
-- its pool since, and be another holder's by now. Its text is then for whoever is given it next;
-- that an owner was found for what had none is no such change.
--
-- Locks: the rows of the codes that nobody has seen, in the order of their ids.
-- Items: id, held (whether anybody held it), member_id, claim_email.
CREATE OR REPLACE FUNCTION reveal_codes(
  p_program uuid, p_items jsonb, p_kind reveal_kind, p_actor text)
RETURNS uuid[] LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_now timestamptz := program_now(p_program);
  v_codes uuid[];
BEGIN
  PERFORM id FROM codes
  WHERE program_id = p_program AND revealed_at IS NULL AND id = ANY (ARRAY(
    SELECT (i->>'id')::uuid FROM jsonb_array_elements(p_items) i))
  ORDER BY id FOR NO KEY UPDATE;
  v_codes := ARRAY(
    SELECT c.id FROM jsonb_to_recordset(p_items)
      AS i(id uuid, held boolean, member_id uuid, claim_email text)
    JOIN codes c ON c.program_id = p_program AND c.id = i.id
    WHERE i.held = (c.status <> 'AVAILABLE') AND i.claim_email IS NOT DISTINCT FROM c.claim_email
      AND (i.member_id IS NULL OR i.member_id = c.member_id));

  UPDATE codes SET revealed_at = v_now
  WHERE program_id = p_program AND id = ANY (v_codes) AND revealed_at IS NULL;
  INSERT INTO code_reveals (program_id, code_id, kind, actor, at)
  SELECT p_program, id, p_kind, p_actor, v_now FROM unnest(v_codes) id;
  RETURN v_codes;
END $$;
