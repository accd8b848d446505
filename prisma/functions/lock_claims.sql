-- Tries every lock of a batch of claims, and answers which items have all of theirs. Items that
-- share a key could be one person: of those the first goes on, the others come back.
CREATE OR REPLACE FUNCTION lock_claims(
  p_program uuid, p_items claim_item[], p_chains pool_link[])
RETURNS int[] LANGUAGE sql VOLATILE AS $$
  WITH wanted AS MATERIALIZED (
    SELECT key, min(i.ord) AS first FROM unnest(p_items) i, unnest(i.keys) key
    GROUP BY key ORDER BY key),
  identities AS MATERIALIZED (
    SELECT key, first, try_lock_identity(p_program, key) AS locked FROM wanted),
  pools_locked AS MATERIALIZED (
    SELECT pool_id, try_lock_pool_shared(p_program, pool_id) AS locked
    FROM (SELECT DISTINCT pool_id FROM unnest(p_chains) ORDER BY pool_id) p
    -- Identities first: the registry's order.
    WHERE (SELECT count(*) FROM identities) >= 0)
  SELECT coalesce(array_agg(i.ord), '{}') FROM unnest(p_items) i
  WHERE i.ord NOT IN (
      SELECT taken.ord FROM unnest(p_items) taken, unnest(taken.keys) k
      JOIN identities l ON l.key = k
      WHERE NOT l.locked OR l.first <> taken.ord)
    AND i.asked_pool_id NOT IN (
      SELECT c.asked_id FROM unnest(p_chains) c JOIN pools_locked l USING (pool_id)
      WHERE NOT l.locked)
$$;
