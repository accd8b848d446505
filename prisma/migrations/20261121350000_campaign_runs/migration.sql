-- How far a run has come: who was refused in it is not asked again by the next slice of it.

-- AlterTable
ALTER TABLE campaigns ADD COLUMN     issued_up_to UUID;

ALTER TABLE campaigns
  ADD CONSTRAINT campaigns_run_while_issuing
    CHECK (issued_up_to IS NULL OR status = 'ISSUING'),
  ADD CONSTRAINT campaigns_issued_to_all CHECK (status <> 'FAILED' OR issued < recipients),
  ADD CONSTRAINT campaigns_recipients_bounded CHECK (recipients <= 1000000);
