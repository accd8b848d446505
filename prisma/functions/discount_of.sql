-- The discount of a pool on an order, in minor units: a share rounded down and up to its ceiling,
-- an amount up to the order's own; a gift carries no amount.
CREATE OR REPLACE FUNCTION discount_of(p_pool pools, p_order_amount bigint)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE p_pool.discount_kind
    WHEN 'PERCENT' THEN least(
      trunc(p_order_amount::numeric * p_pool.discount_value / 10000)::bigint, p_pool.max_discount)
    WHEN 'AMOUNT' THEN least(p_pool.discount_value, p_order_amount)
    ELSE 0 END
$$;
