-- Binds the codes without an owner that were issued to a recipient with an address (match 2), or
-- that guests claimed with it (match 3), to the member who has just verified it. A code that has an
-- owner keeps it; that this member matches as well as the owner did is recorded for the merchant,
-- once for each owner. The caller holds the identity locks of the member and the address.
CREATE OR REPLACE FUNCTION bind_codes(p_program uuid, p_member uuid, p_email text)
RETURNS int LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_bound int;
BEGIN
  PERFORM id FROM codes
  WHERE program_id = p_program AND claim_email = p_email AND member_id IS NULL
  ORDER BY id FOR NO KEY UPDATE;
  INSERT INTO ownership_conflicts (program_id, code_id, owner_id, other_id, at)
  SELECT p_program, id, member_id, p_member, program_now(p_program) FROM codes
  WHERE program_id = p_program AND claim_email = p_email AND member_id <> p_member
  ORDER BY id ON CONFLICT DO NOTHING;
  WITH bound AS (
    UPDATE codes SET member_id = p_member,
      owner_match = CASE WHEN recipient_id IS NULL THEN 3 ELSE 2 END
    WHERE program_id = p_program AND claim_email = p_email AND member_id IS NULL
    RETURNING id, pool_id)
  INSERT INTO events (program_id, type, member_id, data, at)
  SELECT p_program, 'code.bound', p_member, jsonb_build_object('codeId', id, 'poolId', pool_id),
    program_now(p_program)
  FROM bound ORDER BY id;
  GET DIAGNOSTICS v_bound = ROW_COUNT;
  RETURN v_bound;
END $$;
