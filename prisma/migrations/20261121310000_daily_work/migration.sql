-- What the daily work reads, a page behind the other, and where a member stops who fails.

-- A member stops at the first day that fails, so there is one open failure for each task.
DROP INDEX worker_failures_one_open;
CREATE UNIQUE INDEX worker_failures_one_open ON worker_failures
  (program_id, task, coalesce(member_id, '00000000-0000-0000-0000-000000000000'))
  WHERE resolved_at IS NULL;
CREATE INDEX worker_failures_retry ON worker_failures (program_id, next_attempt_at)
  WHERE resolved_at IS NULL;

-- Thousands of lots end at one midnight, and so may reservations: a page goes on within it.
DROP INDEX ledger_batches_due;
CREATE INDEX ledger_batches_due ON ledger_batches (program_id, expires_at, member_id)
  WHERE remaining > 0;
DROP INDEX codes_reserved;
CREATE INDEX codes_reserved ON codes (program_id, reserved_until, id)
  WHERE reserved_until IS NOT NULL;
