-- Decides each item of a batch of redemptions, under its locks. Ownership comes first, then the
-- repeat of what was answered before, then the code's own state, and last what depends on the
-- order.
CREATE OR REPLACE FUNCTION judge_redemptions(
  p_program uuid, p_items redeem_item[], p_now timestamptz)
RETURNS redeem_item[] LANGUAGE sql STABLE AS $$
  SELECT coalesce(array_agg(ROW(i.ord, i.code_id, i.order_id, i.order_amount, i.caller_id,
    i.owner_id, coalesce(first.id, i.redemption_id), CASE
      WHEN first.id IS NOT NULL AND coalesce(why.refusal, '') <> 'CODE_NOT_REDEEMABLE'
        THEN 'REPEATED'
      WHEN why.refusal IS NOT NULL THEN why.refusal
      WHEN i.order_amount < p.min_order_amount THEN 'BELOW_MINIMUM_ORDER'
      WHEN EXISTS (SELECT FROM redemptions r
        WHERE r.program_id = p_program AND r.order_id = i.order_id AND r.voided_at IS NULL
          AND NOT (r.stackable AND p.stackable)) THEN 'ORDER_ALREADY_DISCOUNTED'
      ELSE 'REDEEMED' END)::redeem_item), '{}')
  FROM unnest(p_items) i
  LEFT JOIN LATERAL (SELECT * FROM codes c
    WHERE c.program_id = p_program AND c.id = i.code_id LIMIT 1) c ON true
  LEFT JOIN pools p ON p.program_id = p_program AND p.id = c.pool_id
  LEFT JOIN LATERAL (
    SELECT r.id FROM redemptions r
    WHERE r.program_id = p_program AND r.code_id = i.code_id AND r.voided_at IS NULL
      AND r.order_id = i.order_id LIMIT 1) first ON true
  CROSS JOIN LATERAL (SELECT code_refusal(c::codes, p, i.order_id, i.caller_id, i.owner_id, p_now)
    AS refusal) why
$$;
