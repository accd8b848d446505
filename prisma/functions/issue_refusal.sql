-- Why a pool issues nothing new to a claimant, or null. `p_held` codes count against its limit
-- already.
CREATE OR REPLACE FUNCTION issue_refusal(
  p_program uuid, p_pool pools, p_member uuid, p_held bigint, p_now timestamptz)
RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE
    WHEN p_pool.status <> 'ACTIVE' OR p_now < p_pool.starts_at OR p_now >= p_pool.ends_at
      THEN 'POOL_NOT_ISSUING'
    WHEN p_pool.min_tier_id IS NOT NULL AND NOT has_tier(p_program, p_member, p_pool.min_tier_id)
      THEN 'NOT_ELIGIBLE'
    WHEN p_held >= p_pool.per_member_limit THEN 'CLAIM_LIMIT_REACHED'
  END
$$;

-- Whether a member stands at least on a rank; nobody does not.
CREATE OR REPLACE FUNCTION has_tier(p_program uuid, p_member uuid, p_tier uuid)
RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (
    SELECT FROM members m
    JOIN tiers has ON has.program_id = p_program AND has.id = m.tier_id
    JOIN tiers needs ON needs.program_id = p_program AND needs.id = p_tier
    WHERE m.program_id = p_program AND m.id = p_member AND has.rank >= needs.rank)
$$;
