-- The batches of a pool whose job is not sealed: their codes are in no list, count, look-up or
-- claim. All of them are AVAILABLE, and there are at most a thousand batches of a job.
CREATE OR REPLACE FUNCTION unsealed_batches(p_program uuid, p_pool uuid)
RETURNS TABLE (id uuid, count int) LANGUAGE sql STABLE AS $$
  SELECT b.id, b.count FROM code_jobs j
  JOIN code_batches b ON b.program_id = p_program AND b.job_id = j.id
  WHERE j.program_id = p_program AND j.pool_id = p_pool AND j.status <> 'SEALED'
$$;

-- Whether the codes of a batch count: it is of no job, or of one that is sealed.
CREATE OR REPLACE FUNCTION is_sealed(p_program uuid, p_batch uuid)
RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT NOT EXISTS (SELECT FROM code_batches b
    JOIN code_jobs j ON j.program_id = p_program AND j.id = b.job_id
    WHERE b.program_id = p_program AND b.id = p_batch AND j.status <> 'SEALED')
$$;
