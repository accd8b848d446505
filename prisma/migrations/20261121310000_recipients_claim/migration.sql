-- A campaign's recipient claims like anybody else: what a claim knows of it, and how the codes that
-- were issued to it are found.

ALTER TYPE claim_item ADD ATTRIBUTE recipient_id uuid;

CREATE INDEX codes_of_recipient ON codes (program_id, recipient_id) WHERE recipient_id IS NOT NULL;

-- A free code remembers nothing of whom it was once issued to.
ALTER TABLE codes
  DROP CONSTRAINT codes_claimed_or_free,
  ADD CONSTRAINT codes_claimed_or_free CHECK (CASE status
    WHEN 'AVAILABLE' THEN allocated_at IS NULL AND member_id IS NULL AND claim_email IS NULL
      AND claim_key IS NULL AND asked_pool_id IS NULL AND revoked_at IS NULL
      AND recipient_id IS NULL
    WHEN 'REVOKED' THEN revoked_at IS NOT NULL
    ELSE allocated_at IS NOT NULL AND claim_key IS NOT NULL AND revoked_at IS NULL
      AND (member_id IS NOT NULL OR claim_email IS NOT NULL) END);
