-- What tiers, the worker fleet and the events that leave the house keep, as prisma/schema.prisma
-- has it, then what Prisma cannot say.

-- CreateEnum
CREATE TYPE tier_change_reason AS ENUM ('QUALIFIED', 'GRACE_OVER', 'LADDER_CHANGED');

-- CreateEnum
CREATE TYPE worker_task AS ENUM ('EXPIRE_POINTS', 'EVALUATE_TIERS', 'BIRTHDAY_BONUS', 'REENGAGEMENT_BONUS', 'RELEASE_RESERVATIONS', 'TOP_UP_POOLS', 'DELIVER_WEBHOOKS');

-- AlterTable
ALTER TABLE events DROP CONSTRAINT events_pkey,
ADD CONSTRAINT events_pkey PRIMARY KEY (program_id, xid, id);

-- AlterTable
ALTER TABLE ledger_batches ADD COLUMN     occasion TEXT;

-- AlterTable
ALTER TABLE members ADD COLUMN     grace_ends_at TIMESTAMPTZ(3),
ADD COLUMN     grace_warned INTEGER,
ADD COLUMN     ladder_version INTEGER NOT NULL DEFAULT 1,
ADD COLUMN     tier_due DATE;

-- AlterTable
ALTER TABLE programs ADD COLUMN     ladder_version INTEGER NOT NULL DEFAULT 1;

-- CreateTable
CREATE TABLE leases (
    program_id UUID NOT NULL,
    name TEXT NOT NULL,
    holder UUID NOT NULL,
    until TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT leases_pkey PRIMARY KEY (program_id,name)
);

-- CreateTable
CREATE TABLE tier_changes (
    program_id UUID NOT NULL,
    id BIGSERIAL NOT NULL,
    member_id UUID NOT NULL,
    from_rank INTEGER NOT NULL,
    to_rank INTEGER NOT NULL,
    from_tier JSONB NOT NULL,
    to_tier JSONB NOT NULL,
    reason tier_change_reason NOT NULL,
    day DATE NOT NULL,
    at TIMESTAMPTZ(3) NOT NULL,
    regained_at TIMESTAMPTZ(3),

    CONSTRAINT tier_changes_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE program_work (
    program_id UUID NOT NULL,
    day DATE NOT NULL,
    step INTEGER NOT NULL DEFAULT 0,
    due_at TIMESTAMPTZ(3),

    CONSTRAINT program_work_pkey PRIMARY KEY (program_id)
);

-- CreateTable
CREATE TABLE worker_failures (
    program_id UUID NOT NULL,
    id BIGSERIAL NOT NULL,
    task worker_task NOT NULL,
    day DATE NOT NULL,
    member_id UUID,
    message TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at TIMESTAMPTZ(3) NOT NULL,
    resolved_at TIMESTAMPTZ(3),

    CONSTRAINT worker_failures_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE webhooks (
    program_id UUID NOT NULL,
    id UUID NOT NULL,
    url TEXT NOT NULL,
    types TEXT[],
    enabled BOOLEAN NOT NULL,
    secret BYTEA NOT NULL,
    secret_key_id TEXT NOT NULL,
    previous_secret BYTEA,
    previous_key_id TEXT,
    previous_until TIMESTAMPTZ(3),
    cursor_xid BIGINT NOT NULL,
    cursor_id BIGINT NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    failing_since TIMESTAMPTZ(3),
    resume_at TIMESTAMPTZ(3),
    created_at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT webhooks_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE webhook_deliveries (
    program_id UUID NOT NULL,
    webhook_id UUID NOT NULL,
    event_xid BIGINT NOT NULL,
    event_id BIGINT NOT NULL,
    member_id UUID,
    attempts INTEGER NOT NULL,
    first_tried_at TIMESTAMPTZ(3),
    next_attempt_at TIMESTAMPTZ(3) NOT NULL,
    dead_at TIMESTAMPTZ(3),

    CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (program_id,webhook_id,event_xid,event_id)
);

-- CreateIndex
CREATE INDEX tier_changes_program_id_member_id_id_idx ON tier_changes(program_id, member_id, id);

-- CreateIndex
CREATE INDEX events_program_id_member_id_xid_id_idx ON events(program_id, member_id, xid, id);

-- CreateIndex
CREATE INDEX members_program_id_ladder_version_id_idx ON members(program_id, ladder_version, id);

-- AddForeignKey
ALTER TABLE leases ADD CONSTRAINT leases_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs(id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE tier_changes ADD CONSTRAINT tier_changes_program_id_member_id_fkey FOREIGN KEY (program_id, member_id) REFERENCES members(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE program_work ADD CONSTRAINT program_work_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs(id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE worker_failures ADD CONSTRAINT worker_failures_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs(id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE worker_failures ADD CONSTRAINT worker_failures_program_id_member_id_fkey FOREIGN KEY (program_id, member_id) REFERENCES members(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE webhooks ADD CONSTRAINT webhooks_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs(id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_program_id_webhook_id_fkey FOREIGN KEY (program_id, webhook_id) REFERENCES webhooks(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_program_id_event_xid_event_id_fkey FOREIGN KEY (program_id, event_xid, event_id) REFERENCES events(program_id, xid, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- ── Tiers ──────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE members
  ADD CONSTRAINT members_warned_in_grace CHECK (grace_warned IS NULL OR grace_ends_at IS NOT NULL);
-- Whom the daily evaluation looks at: a day on which nobody is due reads nothing.
CREATE INDEX members_tier_due ON members (program_id, tier_due, id) WHERE tier_due IS NOT NULL;

ALTER TABLE tier_changes
  ADD CONSTRAINT tier_changes_up_or_one_down
    CHECK (to_rank > from_rank OR to_rank = from_rank - 1),
  ADD CONSTRAINT tier_changes_down_after_grace
    CHECK ((to_rank < from_rank) = (reason = 'GRACE_OVER')),
  ADD CONSTRAINT tier_changes_regained_after_loss
    CHECK (regained_at IS NULL OR to_rank < from_rank);
-- The downgrades that an upgrade may win back.
CREATE INDEX tier_changes_lost ON tier_changes (program_id, member_id, from_rank)
  WHERE to_rank < from_rank AND regained_at IS NULL;
CREATE TRIGGER tier_changes_facts_stay BEFORE UPDATE ON tier_changes FOR EACH ROW
  WHEN ((OLD.program_id, OLD.id, OLD.member_id, OLD.from_rank, OLD.to_rank, OLD.from_tier,
     OLD.to_tier, OLD.reason, OLD.day, OLD.at)
    IS DISTINCT FROM
    (NEW.program_id, NEW.id, NEW.member_id, NEW.from_rank, NEW.to_rank, NEW.from_tier,
     NEW.to_tier, NEW.reason, NEW.day, NEW.at)
    OR OLD.regained_at IS NOT NULL)
  EXECUTE FUNCTION refuse_change('a change of tier is history');
CREATE TRIGGER tier_changes_kept BEFORE DELETE ON tier_changes FOR EACH ROW
  EXECUTE FUNCTION refuse_change('a change of tier is history');

-- ── Bonuses ────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE ledger_batches
  ADD CONSTRAINT ledger_batches_bonus_has_occasion CHECK (
    (source IN ('BIRTHDAY', 'REENGAGEMENT', 'REUPGRADE')) = (occasion IS NOT NULL));
-- Once a year, once a spell, once for each downgrade.
CREATE UNIQUE INDEX ledger_batches_one_bonus ON ledger_batches
  (program_id, member_id, source, occasion) WHERE occasion IS NOT NULL;
CREATE TRIGGER ledger_batches_occasion_stays BEFORE UPDATE ON ledger_batches FOR EACH ROW
  WHEN (OLD.occasion IS DISTINCT FROM NEW.occasion)
  EXECUTE FUNCTION refuse_change('what a lot was earned for stays');
-- Whose latest purchase lies how far back.
CREATE INDEX ledger_batches_purchase_days ON ledger_batches (program_id, day, member_id)
  WHERE order_id IS NOT NULL;
-- Month and day as one number, so that a day's birthdays lie together.
CREATE INDEX members_birthdays ON members
  (program_id, (extract(month FROM birthday) * 100 + extract(day FROM birthday)), id)
  WHERE birthday IS NOT NULL;

-- ── Workers ────────────────────────────────────────────────────────────────────────────────────

-- A live program begins with the day after the one on which it was made, a sandbox where it stands.
INSERT INTO program_work (program_id, day, due_at)
SELECT id, (coalesce(clock, created_at) AT TIME ZONE time_zone)::date + 1,
  CASE WHEN NOT sandbox THEN created_at END
FROM programs;

ALTER TABLE program_work ADD CONSTRAINT program_work_step CHECK (step >= 0);
ALTER TABLE worker_failures ADD CONSTRAINT worker_failures_attempts CHECK (attempts >= 1);
-- One open failure for each member, task and day.
CREATE UNIQUE INDEX worker_failures_one_open ON worker_failures
  (program_id, task, day, coalesce(member_id, '00000000-0000-0000-0000-000000000000'))
  WHERE resolved_at IS NULL;
-- The reservations that have run out.
CREATE INDEX codes_reserved ON codes (program_id, reserved_until) WHERE reserved_until IS NOT NULL;

-- ── Webhooks ───────────────────────────────────────────────────────────────────────────────────

ALTER TABLE webhooks
  ADD CONSTRAINT webhooks_previous_whole CHECK (
    (previous_secret IS NULL) = (previous_until IS NULL)
    AND (previous_secret IS NULL) = (previous_key_id IS NULL)),
  ADD CONSTRAINT webhooks_failing_counted CHECK ((failures = 0) = (failing_since IS NULL));
ALTER TABLE webhook_deliveries
  ADD CONSTRAINT webhook_deliveries_tried CHECK (
    attempts >= 0 AND (attempts = 0) = (first_tried_at IS NULL));
-- The waiting ones of each member, in order; and whose turn it is.
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries
  (program_id, webhook_id, member_id, event_xid, event_id) WHERE dead_at IS NULL;
CREATE INDEX webhook_deliveries_next ON webhook_deliveries
  (program_id, webhook_id, next_attempt_at) WHERE dead_at IS NULL;
