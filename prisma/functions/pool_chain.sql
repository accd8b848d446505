-- A pool and the pools it falls back to, in order. At most eight: longer chains and circles are
-- refused when they are set, and the bound here keeps even a corrupt one from running on.
CREATE OR REPLACE FUNCTION pool_chain(p_program uuid, p_pool uuid)
RETURNS TABLE (depth int, pool_id uuid) LANGUAGE sql STABLE AS $$
  WITH RECURSIVE chain AS (
    SELECT 1 AS depth, id, fallback_pool_id FROM pools WHERE program_id = p_program AND id = p_pool
    UNION ALL
    SELECT chain.depth + 1, p.id, p.fallback_pool_id FROM chain
    JOIN pools p ON p.program_id = p_program AND p.id = chain.fallback_pool_id
    WHERE chain.depth < 9)
  SELECT depth, id FROM chain
$$;

-- The chains of every pool that a batch of claims asks, read once: what is locked and what is taken
-- from must be the same pools, also while somebody lengthens a chain.
CREATE OR REPLACE FUNCTION pool_chains(p_program uuid, p_items claim_item[])
RETURNS pool_link[] LANGUAGE sql STABLE AS $$
  SELECT array_agg(ROW(asked.id, chain.depth, chain.pool_id)::pool_link)
  FROM (SELECT DISTINCT asked_pool_id AS id FROM unnest(p_items)) asked
  CROSS JOIN LATERAL pool_chain(p_program, asked.id) chain
$$;
