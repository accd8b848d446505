-- What wallets, campaigns and large jobs keep, as prisma/schema.prisma has it, then what Prisma
-- cannot say.

-- CreateEnum
CREATE TYPE job_status AS ENUM ('RUNNING', 'SEALED', 'CANCELLED', 'FAILED');

-- CreateEnum
CREATE TYPE campaign_status AS ENUM ('DRAFT', 'ISSUING', 'ISSUED', 'FAILED');

-- AlterEnum
ALTER TYPE reveal_kind ADD VALUE 'EXPORT';

-- AlterTable
ALTER TABLE code_batches ADD COLUMN     job_id UUID;

-- AlterTable
ALTER TABLE codes ADD COLUMN     recipient_id UUID,
ADD COLUMN     replaced_by_id UUID;

-- CreateTable
CREATE TABLE code_jobs (
    program_id UUID NOT NULL,
    id UUID NOT NULL,
    pool_id UUID NOT NULL,
    count INTEGER NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,
    status job_status NOT NULL,
    created_at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT code_jobs_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE ownership_conflicts (
    program_id UUID NOT NULL,
    id BIGSERIAL NOT NULL,
    code_id UUID NOT NULL,
    owner_id UUID NOT NULL,
    other_id UUID NOT NULL,
    at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT ownership_conflicts_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE campaigns (
    program_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    pool_id UUID NOT NULL,
    status campaign_status NOT NULL,
    recipients INTEGER NOT NULL DEFAULT 0,
    issued INTEGER NOT NULL DEFAULT 0,
    created_at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT campaigns_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE campaign_recipients (
    program_id UUID NOT NULL,
    id UUID NOT NULL,
    campaign_id UUID NOT NULL,
    email TEXT,
    member_id UUID,
    code_id UUID,
    refusal TEXT,

    CONSTRAINT campaign_recipients_pkey PRIMARY KEY (program_id,id)
);

-- CreateIndex
CREATE INDEX code_jobs_program_id_pool_id_idx ON code_jobs(program_id, pool_id);

-- CreateIndex
CREATE UNIQUE INDEX ownership_conflicts_program_id_code_id_other_id_key ON ownership_conflicts(program_id, code_id, other_id);

-- CreateIndex
CREATE INDEX campaigns_program_id_pool_id_idx ON campaigns(program_id, pool_id);

-- CreateIndex
CREATE UNIQUE INDEX campaign_recipients_program_id_email_campaign_id_key ON campaign_recipients(program_id, email, campaign_id);

-- CreateIndex
CREATE UNIQUE INDEX campaign_recipients_program_id_member_id_campaign_id_key ON campaign_recipients(program_id, member_id, campaign_id);

-- CreateIndex
CREATE INDEX campaign_recipients_program_id_campaign_id_id_idx ON campaign_recipients(program_id, campaign_id, id);

-- CreateIndex
CREATE INDEX code_batches_program_id_job_id_idx ON code_batches(program_id, job_id);

-- AddForeignKey
ALTER TABLE code_batches ADD CONSTRAINT code_batches_program_id_job_id_fkey FOREIGN KEY (program_id, job_id) REFERENCES code_jobs(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE code_jobs ADD CONSTRAINT code_jobs_program_id_pool_id_fkey FOREIGN KEY (program_id, pool_id) REFERENCES pools(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE codes ADD CONSTRAINT codes_program_id_recipient_id_fkey FOREIGN KEY (program_id, recipient_id) REFERENCES campaign_recipients(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE codes ADD CONSTRAINT codes_program_id_replaced_by_id_fkey FOREIGN KEY (program_id, replaced_by_id) REFERENCES codes(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE ownership_conflicts ADD CONSTRAINT ownership_conflicts_program_id_code_id_fkey FOREIGN KEY (program_id, code_id) REFERENCES codes(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE ownership_conflicts ADD CONSTRAINT ownership_conflicts_program_id_owner_id_fkey FOREIGN KEY (program_id, owner_id) REFERENCES members(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE ownership_conflicts ADD CONSTRAINT ownership_conflicts_program_id_other_id_fkey FOREIGN KEY (program_id, other_id) REFERENCES members(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE campaigns ADD CONSTRAINT campaigns_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs(id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE campaigns ADD CONSTRAINT campaigns_program_id_pool_id_fkey FOREIGN KEY (program_id, pool_id) REFERENCES pools(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE campaign_recipients ADD CONSTRAINT campaign_recipients_program_id_campaign_id_fkey FOREIGN KEY (program_id, campaign_id) REFERENCES campaigns(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE campaign_recipients ADD CONSTRAINT campaign_recipients_program_id_member_id_fkey FOREIGN KEY (program_id, member_id) REFERENCES members(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE campaign_recipients ADD CONSTRAINT campaign_recipients_program_id_code_id_fkey FOREIGN KEY (program_id, code_id) REFERENCES codes(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- ── Ownership ──────────────────────────────────────────────────────────────────────────────────

ALTER TABLE ownership_conflicts
  ADD CONSTRAINT ownership_conflicts_of_two CHECK (owner_id <> other_id);
CREATE TRIGGER ownership_conflicts_kept BEFORE UPDATE OR DELETE ON ownership_conflicts
  FOR EACH ROW EXECUTE FUNCTION refuse_change('a conflict of ownership stays on record');
ALTER TABLE codes
  ADD CONSTRAINT codes_replaced_when_revoked
    CHECK (replaced_by_id IS NULL OR (status = 'REVOKED' AND replaced_by_id <> id));

-- ── Jobs ───────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE code_jobs
  ADD CONSTRAINT code_jobs_counts CHECK (
    count BETWEEN 1 AND 5000000 AND done BETWEEN 0 AND count
    AND (status <> 'SEALED' OR done = count));
-- At most one job of a pool is under way.
CREATE UNIQUE INDEX code_jobs_one_running ON code_jobs (program_id, pool_id)
  WHERE status = 'RUNNING';
CREATE TRIGGER code_jobs_end_once BEFORE UPDATE ON code_jobs FOR EACH ROW
  WHEN (OLD.status <> 'RUNNING'
    OR (OLD.program_id, OLD.id, OLD.pool_id, OLD.count, OLD.created_at)
      IS DISTINCT FROM (NEW.program_id, NEW.id, NEW.pool_id, NEW.count, NEW.created_at))
  EXECUTE FUNCTION refuse_change('a job that has ended stays as it is');

-- ── Campaigns ──────────────────────────────────────────────────────────────────────────────────

ALTER TABLE campaigns
  ADD CONSTRAINT campaigns_name_said CHECK (length(name) BETWEEN 1 AND 200),
  ADD CONSTRAINT campaigns_counts CHECK (issued BETWEEN 0 AND recipients);
ALTER TABLE campaign_recipients
  ADD CONSTRAINT campaign_recipients_one_way CHECK ((email IS NULL) <> (member_id IS NULL)),
  ADD CONSTRAINT campaign_recipients_code_or_refusal
    CHECK (code_id IS NULL OR refusal IS NULL);
CREATE TRIGGER campaign_recipients_code_stays BEFORE UPDATE ON campaign_recipients FOR EACH ROW
  WHEN (OLD.code_id IS NOT NULL AND NEW.code_id IS NULL
    OR (OLD.program_id, OLD.id, OLD.campaign_id, OLD.email, OLD.member_id)
      IS DISTINCT FROM (NEW.program_id, NEW.id, NEW.campaign_id, NEW.email, NEW.member_id))
  EXECUTE FUNCTION refuse_change('who was to be given a code stays');
