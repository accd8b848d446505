-- The next page of what a revocation is about, in the order of its cursor: `after` is the cursor
-- behind the page, `size` how many rows were looked at, so that a short page is the last one.
--
-- Of a pool or a batch: every code that somebody holds, and the free ones with them. Of a pool with
-- replacements the free ones stay: they are what the holders are given. Of a campaign: the codes
-- that were issued to its recipients. A code that this revocation gave somebody is none of them.
CREATE OR REPLACE FUNCTION codes_to_revoke(
  p_program uuid, p_job revocations, p_limit int,
  OUT codes uuid[], OUT after uuid, OUT size int)
LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_after uuid := coalesce(p_job.after, '00000000-0000-0000-0000-000000000000');
  v_last constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
  v_statuses code_status[] := CASE WHEN p_job.replace AND p_job.batch_id IS NULL
    THEN '{ALLOCATED}' ELSE '{AVAILABLE,ALLOCATED}' END;
  v_recipients uuid[];
BEGIN
  IF p_job.campaign_id IS NOT NULL THEN
    v_recipients := ARRAY(
      SELECT id FROM campaign_recipients
      WHERE program_id = p_program AND campaign_id = p_job.campaign_id AND id > v_after
      ORDER BY program_id, campaign_id, id LIMIT p_limit);
    codes := ARRAY(
      SELECT c.id FROM codes c
      WHERE c.program_id = p_program AND c.recipient_id = ANY (v_recipients)
        AND c.status = 'ALLOCATED' AND c.revocation_id IS DISTINCT FROM p_job.id);
    size := cardinality(v_recipients);
    after := coalesce(v_recipients[size], p_job.after);
    RETURN;
  END IF;

  codes := CASE WHEN p_job.batch_id IS NULL THEN ARRAY(
    SELECT c.id FROM unnest(v_statuses) AS s(status)
    CROSS JOIN LATERAL (
      -- Compared as a row, so that the order is read from the index that has it.
      SELECT id FROM codes c
      WHERE c.program_id = p_program
        AND (c.pool_id, c.status, c.id) > (p_job.pool_id, s.status, v_after)
        AND (c.pool_id, c.status, c.id) <= (p_job.pool_id, s.status, v_last)
        AND c.revocation_id IS DISTINCT FROM p_job.id
        AND c.batch_id NOT IN (SELECT u.id FROM unsealed_batches(p_program, p_job.pool_id) u)
      ORDER BY c.pool_id, c.status, c.id LIMIT p_limit) c
    ORDER BY c.id LIMIT p_limit)
  ELSE ARRAY(
    SELECT c.id FROM codes c
    WHERE c.program_id = p_program AND c.batch_id = p_job.batch_id AND c.id > v_after
      AND c.status = ANY (v_statuses) AND c.revocation_id IS DISTINCT FROM p_job.id
    ORDER BY c.id LIMIT p_limit)
  END;
  size := cardinality(codes);
  after := coalesce(codes[size], p_job.after);
END $$;

-- The pools whose codes a revocation is about: of a campaign the one it is for, and those that this
-- one falls back to.
CREATE OR REPLACE FUNCTION pools_to_revoke(p_program uuid, p_job revocations)
RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
  SELECT chain.pool_id
  FROM (SELECT coalesce(p_job.pool_id,
    (SELECT pool_id FROM code_batches WHERE program_id = p_program AND id = p_job.batch_id),
    (SELECT pool_id FROM campaigns WHERE program_id = p_program AND id = p_job.campaign_id)
    ) AS id) own
  CROSS JOIN LATERAL pool_chain(p_program, own.id) chain
  WHERE chain.depth = 1 OR p_job.campaign_id IS NOT NULL
$$;
