-- The codes that count for one claimant in one pool, revoked ones included (but for those whose
-- place another was put in): a member's by ownership, a guest's by the address and, for the limit
-- only, by the mailbox. `own` tells whose text may be given: a guest's never once a member owns the
-- code, for whoever verified the address and has left it may be somebody else.
CREATE OR REPLACE FUNCTION codes_held(p_program uuid, p_pool uuid, p_member uuid, p_email text)
RETURNS TABLE (code_id uuid, own boolean) LANGUAGE sql STABLE AS $$
  SELECT id, true FROM codes
  WHERE program_id = p_program AND member_id = p_member AND p_pool IN (pool_id, asked_pool_id)
    AND replaced_by_id IS NULL
  UNION ALL
  SELECT id, true FROM codes
  WHERE p_member IS NULL AND program_id = p_program AND claim_email = p_email
    AND member_id IS NULL AND p_pool IN (pool_id, asked_pool_id) AND replaced_by_id IS NULL
  UNION ALL
  SELECT l.code_id, false FROM claims l
  -- LIMIT keeps the planner from starting with every code of the program.
  CROSS JOIN LATERAL (SELECT claim_email, member_id FROM codes
    WHERE program_id = p_program AND id = l.code_id LIMIT 1) c
  WHERE p_member IS NULL AND l.program_id = p_program AND l.pool_id = p_pool
    AND l.claimant = 'mailbox:' || mailbox_of(p_email)
    AND (c.claim_email <> p_email OR c.member_id IS NOT NULL)
$$;
