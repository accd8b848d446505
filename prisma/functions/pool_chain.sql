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
