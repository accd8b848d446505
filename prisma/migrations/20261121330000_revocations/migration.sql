-- Many codes revoked in one call: what was asked and how far it is, so that a call that was cut
-- short goes on where it was, and a repeated one answers the same.

ALTER TABLE codes ADD COLUMN     revocation_id UUID;

-- CreateTable
CREATE TABLE revocations (
    program_id UUID NOT NULL,
    id UUID NOT NULL,
    pool_id UUID,
    batch_id UUID,
    campaign_id UUID,
    reason TEXT NOT NULL,
    replace BOOLEAN NOT NULL,
    after UUID,
    revoked INTEGER NOT NULL DEFAULT 0,
    recycled INTEGER NOT NULL DEFAULT 0,
    replaced INTEGER NOT NULL DEFAULT 0,
    created_at TIMESTAMPTZ(3) NOT NULL,
    finished_at TIMESTAMPTZ(3),

    CONSTRAINT revocations_pkey PRIMARY KEY (program_id,id)
);

-- AddForeignKey
ALTER TABLE codes ADD CONSTRAINT codes_program_id_revocation_id_fkey FOREIGN KEY (program_id, revocation_id) REFERENCES revocations(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE revocations ADD CONSTRAINT revocations_program_id_pool_id_fkey FOREIGN KEY (program_id, pool_id) REFERENCES pools(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE revocations ADD CONSTRAINT revocations_program_id_batch_id_fkey FOREIGN KEY (program_id, batch_id) REFERENCES code_batches(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE revocations ADD CONSTRAINT revocations_program_id_campaign_id_fkey FOREIGN KEY (program_id, campaign_id) REFERENCES campaigns(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

ALTER TABLE revocations
  ADD CONSTRAINT revocations_of_one CHECK (num_nonnulls(pool_id, batch_id, campaign_id) = 1),
  ADD CONSTRAINT revocations_counts CHECK (
    revoked >= 0 AND recycled >= 0 AND replaced BETWEEN 0 AND revoked
    AND (replace OR replaced = 0));
CREATE TRIGGER revocations_end_once BEFORE UPDATE ON revocations FOR EACH ROW
  WHEN (OLD.finished_at IS NOT NULL
    OR (OLD.program_id, OLD.id, OLD.pool_id, OLD.batch_id, OLD.campaign_id, OLD.reason,
      OLD.replace, OLD.created_at)
    IS DISTINCT FROM (NEW.program_id, NEW.id, NEW.pool_id, NEW.batch_id, NEW.campaign_id,
      NEW.reason, NEW.replace, NEW.created_at))
  EXECUTE FUNCTION refuse_change('a revocation that has ended stays as it is');
CREATE TRIGGER revocations_kept BEFORE DELETE ON revocations FOR EACH ROW
  EXECUTE FUNCTION refuse_change('a revocation is never deleted');

-- A free code remembers nothing of whom it was once issued to.
ALTER TABLE codes
  DROP CONSTRAINT codes_claimed_or_free,
  ADD CONSTRAINT codes_claimed_or_free CHECK (CASE status
    WHEN 'AVAILABLE' THEN allocated_at IS NULL AND member_id IS NULL AND claim_email IS NULL
      AND claim_key IS NULL AND asked_pool_id IS NULL AND revoked_at IS NULL
      AND recipient_id IS NULL AND revocation_id IS NULL
    WHEN 'REVOKED' THEN revoked_at IS NOT NULL
    ELSE allocated_at IS NOT NULL AND claim_key IS NOT NULL AND revoked_at IS NULL
      AND (member_id IS NOT NULL OR claim_email IS NOT NULL) END);

-- A recipient's code is replaced by another, or goes back to its pool; otherwise it stays.
DROP TRIGGER campaign_recipients_code_stays ON campaign_recipients;
CREATE FUNCTION refuse_lost_code() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM codes c WHERE c.program_id = OLD.program_id AND c.id = OLD.code_id
      AND c.status <> 'AVAILABLE'
  ) THEN
    RAISE EXCEPTION 'a code that somebody holds stays with its recipient'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER campaign_recipients_code_stays BEFORE UPDATE ON campaign_recipients FOR EACH ROW
  WHEN (OLD.code_id IS NOT NULL AND NEW.code_id IS NULL)
  EXECUTE FUNCTION refuse_lost_code();
CREATE TRIGGER campaign_recipients_named_once BEFORE UPDATE ON campaign_recipients FOR EACH ROW
  WHEN ((OLD.program_id, OLD.id, OLD.campaign_id, OLD.email, OLD.member_id)
    IS DISTINCT FROM (NEW.program_id, NEW.id, NEW.campaign_id, NEW.email, NEW.member_id))
  EXECUTE FUNCTION refuse_change('whom a campaign names stays');
