-- Tries every lock of a batch of redemptions, and answers which items have theirs. Of items that
-- share an order or a code the first goes on, the others come back. A code that is not there, or is
-- not the caller's, is locked for nobody: its answer does not depend on it.
CREATE OR REPLACE FUNCTION lock_redemptions(p_program uuid, p_items redeem_item[])
RETURNS int[] LANGUAGE sql VOLATILE AS $$
  WITH orders AS MATERIALIZED (
    SELECT order_id, min(ord) AS first FROM unnest(p_items) GROUP BY order_id ORDER BY order_id),
  orders_locked AS MATERIALIZED (
    SELECT order_id, first, try_lock_order(p_program, order_id) AS locked FROM orders),
  wanted AS MATERIALIZED (
    SELECT code_id, min(ord) AS first FROM unnest(p_items) WHERE code_id IS NOT NULL
    GROUP BY code_id HAVING (SELECT count(*) FROM orders_locked) >= 0),
  rows_locked AS MATERIALIZED (
    SELECT id FROM codes
    WHERE program_id = p_program AND id = ANY (ARRAY(SELECT code_id FROM wanted))
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
  SELECT coalesce(array_agg(i.ord), '{}') FROM unnest(p_items) i
  JOIN orders_locked o USING (order_id)
  LEFT JOIN wanted w USING (code_id)
  WHERE i.code_id IS NULL
    OR (o.locked AND o.first = i.ord AND w.first = i.ord
      AND i.code_id IN (SELECT id FROM rows_locked))
$$;
