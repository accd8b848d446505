-- What an item that found no free code in a pool is to do: wait, because a fresh look shows codes
-- that are only locked (their takers may roll back); have the pool topped up; or null, the pool is
-- empty.
CREATE OR REPLACE FUNCTION pool_shortage(p_program uuid, p_pool uuid)
RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT CASE
    WHEN (SELECT id FROM codes
      WHERE program_id = p_program
        AND (pool_id, status) >= (p_pool, 'AVAILABLE'::code_status)
        AND (pool_id, status) <= (p_pool, 'AVAILABLE'::code_status)
      ORDER BY pool_id, status, id LIMIT 1) IS NOT NULL THEN 'AGAIN'
    WHEN p.exhaustion = 'TOP_UP' AND p.max_codes > (
      SELECT coalesce(sum(count), 0) FROM code_batches
      WHERE program_id = p_program AND pool_id = p_pool) THEN 'TOP_UP' END
  FROM pools p WHERE p.program_id = p_program AND p.id = p_pool
$$;
