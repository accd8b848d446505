-- What large jobs need of the database beside their tables.

-- CreateIndex
CREATE INDEX codes_program_id_batch_id_idx ON codes(program_id, batch_id);

-- A code that goes is looked for wherever it could be named.
CREATE INDEX codes_replaced ON codes (program_id, replaced_by_id)
  WHERE replaced_by_id IS NOT NULL;
CREATE INDEX campaign_recipients_holding ON campaign_recipients (program_id, code_id)
  WHERE code_id IS NOT NULL;

-- A code is kept for ever, unless nobody ever saw it: its job was given up before it was sealed.
DROP TRIGGER codes_kept ON codes;
CREATE FUNCTION refuse_loss_of_codes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM (SELECT DISTINCT program_id, batch_id FROM gone) g
    JOIN code_batches b ON b.program_id = g.program_id AND b.id = g.batch_id
    LEFT JOIN code_jobs j ON j.program_id = b.program_id AND j.id = b.job_id
    WHERE j.status IS NULL OR j.status NOT IN ('CANCELLED', 'FAILED')
  ) THEN
    RAISE EXCEPTION 'a code is never deleted'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = 'codes_kept';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER codes_kept AFTER DELETE ON codes REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_loss_of_codes();

-- Claims go by the status of the pool alone: in one that issues every code counts.
CREATE FUNCTION refuse_unsealed_pool() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM code_jobs j
    WHERE j.program_id = NEW.program_id AND j.pool_id = NEW.id AND (j.status = 'RUNNING'
      OR (j.status <> 'SEALED' AND EXISTS (SELECT FROM code_batches b
        WHERE b.program_id = j.program_id AND b.job_id = j.id)))
  ) THEN
    RAISE EXCEPTION 'a pool with an unsealed job does not issue'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = 'code_jobs_sealed_before_issue';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER code_jobs_sealed_before_issue BEFORE UPDATE ON pools FOR EACH ROW
  WHEN (NEW.status = 'ACTIVE' AND OLD.status <> 'ACTIVE')
  EXECUTE FUNCTION refuse_unsealed_pool();

CREATE FUNCTION refuse_unsealed_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM code_batches b
    JOIN code_jobs j ON j.program_id = b.program_id AND j.id = b.job_id
    WHERE b.program_id = NEW.program_id AND b.id = NEW.batch_id AND j.status <> 'SEALED'
  ) THEN
    RAISE EXCEPTION 'a code that does not count yet cannot be revoked'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = 'code_jobs_sealed_before_revoke';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER code_jobs_sealed_before_revoke BEFORE UPDATE ON codes FOR EACH ROW
  WHEN (OLD.status = 'AVAILABLE' AND NEW.status = 'REVOKED')
  EXECUTE FUNCTION refuse_unsealed_code();

CREATE FUNCTION refuse_job_in_closed_pool() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM pools p WHERE p.program_id = NEW.program_id AND p.id = NEW.pool_id
      AND p.status IN ('DRAFT', 'PAUSED')
  ) THEN
    RAISE EXCEPTION 'this pool takes no job'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = 'code_jobs_in_open_pool';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER code_jobs_in_open_pool BEFORE INSERT ON code_jobs FOR EACH ROW
  EXECUTE FUNCTION refuse_job_in_closed_pool();
