-- What is settled before a code is looked for: a code that is held already is given again, whatever
-- has become of the pool (UNSEEN: its text was not handed to its holder yet); a revoked one keeps
-- its place; a pool that issues nothing to this claimant refuses. OPEN: a code may be taken.
CREATE OR REPLACE FUNCTION judge_claims(p_program uuid, p_items claim_item[], p_now timestamptz)
RETURNS SETOF claim_result LANGUAGE sql STABLE AS $$
  SELECT ROW(i.ord,
    CASE
      WHEN p.id IS NULL THEN 'NO_SUCH_POOL'
      WHEN i.member_id IS NULL AND i.email IS NULL THEN 'NO_SUCH_CLAIMANT'
      WHEN held.id IS NOT NULL THEN CASE WHEN EXISTS (
        SELECT FROM code_reveals WHERE program_id = p_program AND code_id = held.id
          AND kind = 'CLAIM') THEN 'HELD' ELSE 'UNSEEN' END
      WHEN mine.key_revoked THEN 'CLAIM_LIMIT_REACHED'
      ELSE coalesce(issue_refusal(p_program, p, i.member_id, mine.count, p_now), 'OPEN') END,
    held.id, NULL)::claim_result
  FROM unnest(p_items) i
  LEFT JOIN pools p ON p.program_id = p_program AND p.id = i.asked_pool_id
  CROSS JOIN LATERAL (
    SELECT count(DISTINCT h.code_id), array_agg(h.code_id) FILTER (WHERE h.own) AS own,
      coalesce(bool_or(h.own AND c.status = 'REVOKED'
        AND c.claim_key = coalesce(i.claim_key, '')), false) AS key_revoked
    FROM codes_held(p_program, i.asked_pool_id, i.member_id, i.email) h
    CROSS JOIN LATERAL (SELECT status, claim_key FROM codes
      WHERE program_id = p_program AND id = h.code_id LIMIT 1) c) mine
  LEFT JOIN LATERAL (
    SELECT c.id FROM unnest(mine.own) own(id)
    CROSS JOIN LATERAL (SELECT * FROM codes
      WHERE program_id = p_program AND id = own.id LIMIT 1) c
    WHERE c.status IN ('ALLOCATED', 'REDEEMED')
      AND (p.per_member_limit = 1 OR i.claim_key IS NULL OR c.claim_key = i.claim_key)
    -- A guest's code that was issued to a recipient would match before one that was claimed.
    ORDER BY coalesce(c.owner_match, CASE WHEN c.recipient_id IS NULL THEN 3 ELSE 2 END),
      c.allocated_at, c.id LIMIT 1) held ON true
$$;
