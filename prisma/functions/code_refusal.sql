-- Why a code cannot be spent on (or held for) an order now, or null. The one home of this rule, for
-- redemption and reservation. A caller with a member's token (`p_caller`) hears one answer about
-- every code that is not the caller's own; a merchant's server may say whose it ought to be
-- (`p_owner`).
CREATE OR REPLACE FUNCTION code_refusal(
  p_code codes, p_pool pools, p_order text, p_caller uuid, p_owner uuid, p_now timestamptz)
RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE
    WHEN p_caller IS NOT NULL AND p_code.member_id IS DISTINCT FROM p_caller
      THEN 'CODE_NOT_REDEEMABLE'
    WHEN p_code.id IS NULL THEN 'CODE_UNKNOWN'
    WHEN p_code.status = 'AVAILABLE' AND NOT is_sealed(p_code.program_id, p_code.batch_id)
      THEN 'CODE_UNKNOWN'
    WHEN p_code.status = 'AVAILABLE' THEN 'CODE_NOT_ALLOCATED'
    WHEN p_owner IS NOT NULL AND p_code.member_id IS DISTINCT FROM p_owner THEN 'NOT_THE_OWNER'
    WHEN p_code.status = 'REDEEMED' THEN 'CODE_ALREADY_REDEEMED'
    WHEN p_code.status = 'REVOKED' THEN 'CODE_REVOKED'
    WHEN p_code.reserved_until > p_now AND p_code.reserved_for <> p_order THEN 'CODE_RESERVED'
    WHEN p_now >= p_pool.ends_at AND NOT coalesce(
      p_code.reserved_until > p_now AND p_code.reserved_for = p_order, false) THEN 'CODE_EXPIRED'
  END
$$;
