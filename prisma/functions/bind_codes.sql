-- Binds the codes that guests claimed with an address to the member who has just verified it. A
-- code that has an owner keeps it. The caller holds the identity locks of the member and the
-- address.
CREATE OR REPLACE FUNCTION bind_codes(p_program uuid, p_member uuid, p_email text)
RETURNS int LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_bound int;
BEGIN
  PERFORM id FROM codes
  WHERE program_id = p_program AND claim_email = p_email AND member_id IS NULL
  ORDER BY id FOR NO KEY UPDATE;
  UPDATE codes SET member_id = p_member, owner_match = 3
  WHERE program_id = p_program AND claim_email = p_email AND member_id IS NULL;
  GET DIAGNOSTICS v_bound = ROW_COUNT;
  RETURN v_bound;
END $$;
