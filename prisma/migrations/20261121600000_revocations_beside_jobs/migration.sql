-- What a revocation must not do, and what it leaves true.

-- A code that does not count yet goes to nobody and is withdrawn from nobody. A claim is not asked:
-- a pool that issues has no such code, which code_jobs_sealed_before_issue holds to, and a claim
-- is not to pay for each of its rows. What a revocation gives somebody carries its id.
CREATE OR REPLACE FUNCTION refuse_unsealed_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM code_batches b
    JOIN code_jobs j ON j.program_id = b.program_id AND j.id = b.job_id
    WHERE b.program_id = NEW.program_id AND b.id = NEW.batch_id AND j.status <> 'SEALED'
  ) THEN
    RAISE EXCEPTION 'a code that does not count yet is neither given nor withdrawn'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
  END IF;
  RETURN NEW;
END $$;
DROP TRIGGER code_jobs_sealed_before_revoke ON codes;
CREATE TRIGGER code_jobs_sealed_before_use BEFORE UPDATE ON codes FOR EACH ROW
  WHEN (OLD.status = 'AVAILABLE' AND NEW.status <> 'AVAILABLE'
    AND (NEW.status <> 'ALLOCATED' OR NEW.revocation_id IS NOT NULL))
  EXECUTE FUNCTION refuse_unsealed_code();

-- Who holds a code for an order knows its text, also when the code is let go again.
UPDATE codes SET revealed_at = allocated_at WHERE reserved_for IS NOT NULL AND revealed_at IS NULL;

-- ISSUED says that everybody has a code, also after some of them have gone back to their pool.
UPDATE campaigns SET status = 'DRAFT' WHERE status = 'ISSUED' AND issued < recipients;
ALTER TABLE campaigns
  ADD CONSTRAINT campaigns_issued_is_all CHECK (status <> 'ISSUED' OR issued = recipients);
