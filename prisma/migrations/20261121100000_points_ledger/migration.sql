-- The ledger's tables as prisma/schema.prisma has them, then what Prisma cannot say. A lot, a spend
-- and the journal each carry their own equation, so that a wrong statement fails where it is made.

-- CreateEnum
CREATE TYPE points_source AS ENUM ('RECEIPT', 'SHOPIFY', 'MARKETPLACE', 'MANUAL', 'BIRTHDAY', 'REENGAGEMENT', 'REUPGRADE');

-- CreateEnum
CREATE TYPE zero_reason AS ENUM ('BELOW_MINIMUM', 'CAPPED', 'ZERO_RATE');

-- CreateEnum
CREATE TYPE ledger_entry_kind AS ENUM ('AWARD', 'SPEND', 'REFUND', 'EXPIRE', 'REVERSE', 'ADJUST');

-- AlterTable
ALTER TABLE members ADD COLUMN     debt BIGINT NOT NULL DEFAULT 0,
ADD COLUMN     outstanding BIGINT NOT NULL DEFAULT 0;

-- CreateTable
CREATE TABLE events (
    program_id UUID NOT NULL,
    id BIGSERIAL NOT NULL,
    type TEXT NOT NULL,
    member_id UUID,
    data JSONB NOT NULL,
    at TIMESTAMPTZ(3) NOT NULL,
    xid BIGINT NOT NULL DEFAULT ((pg_current_xact_id())::text)::bigint,

    CONSTRAINT events_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE ledger_batches (
    program_id UUID NOT NULL,
    id UUID NOT NULL,
    member_id UUID NOT NULL,
    sequence BIGSERIAL NOT NULL,
    source points_source NOT NULL,
    order_id TEXT,
    generation INTEGER NOT NULL,
    amount BIGINT,
    requested BIGINT NOT NULL,
    points BIGINT NOT NULL,
    remaining BIGINT NOT NULL,
    drawn BIGINT NOT NULL DEFAULT 0,
    expired BIGINT NOT NULL DEFAULT 0,
    reversed BIGINT NOT NULL DEFAULT 0,
    cancelled BIGINT NOT NULL DEFAULT 0,
    forgone BIGINT NOT NULL DEFAULT 0,
    refunded BIGINT NOT NULL DEFAULT 0,
    zero_reason zero_reason,
    day DATE NOT NULL,
    cap BIGINT,
    reason TEXT,
    earned_at TIMESTAMPTZ(3) NOT NULL,
    matures_at TIMESTAMPTZ(3) NOT NULL,
    expires_at TIMESTAMPTZ(3),
    created_at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT ledger_batches_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE spends (
    program_id UUID NOT NULL,
    id UUID NOT NULL,
    member_id UUID NOT NULL,
    points BIGINT NOT NULL,
    refunded BIGINT NOT NULL DEFAULT 0,
    reason TEXT,
    idempotency_key TEXT NOT NULL,
    spent_at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT spends_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE consumption_allocations (
    program_id UUID NOT NULL,
    spend_id UUID NOT NULL,
    position INTEGER NOT NULL,
    batch_id UUID NOT NULL,
    points BIGINT NOT NULL,
    refunded BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT consumption_allocations_pkey PRIMARY KEY (program_id,spend_id,position)
);

-- CreateTable
CREATE TABLE ledger_entries (
    program_id UUID NOT NULL,
    id BIGSERIAL NOT NULL,
    member_id UUID NOT NULL,
    kind ledger_entry_kind NOT NULL,
    points BIGINT NOT NULL,
    balance_after BIGINT NOT NULL,
    batch_id UUID,
    at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT ledger_entries_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE purchase_refunds (
    program_id UUID NOT NULL,
    id UUID NOT NULL,
    source points_source NOT NULL,
    refund_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    amount BIGINT NOT NULL,
    pending BOOLEAN NOT NULL,
    reversed BIGINT NOT NULL DEFAULT 0,
    debt BIGINT NOT NULL DEFAULT 0,
    at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT purchase_refunds_pkey PRIMARY KEY (program_id,id)
);

-- CreateIndex
CREATE INDEX ledger_batches_program_id_member_id_day_idx ON ledger_batches(program_id, member_id, day);

-- CreateIndex
CREATE INDEX spends_program_id_member_id_idx ON spends(program_id, member_id);

-- CreateIndex
CREATE UNIQUE INDEX spends_program_id_idempotency_key_key ON spends(program_id, idempotency_key);

-- CreateIndex
CREATE UNIQUE INDEX consumption_allocations_program_id_batch_id_spend_id_key ON consumption_allocations(program_id, batch_id, spend_id);

-- CreateIndex
CREATE INDEX ledger_entries_program_id_member_id_id_idx ON ledger_entries(program_id, member_id, id);

-- CreateIndex
CREATE INDEX purchase_refunds_program_id_source_order_id_generation_idx ON purchase_refunds(program_id, source, order_id, generation);

-- CreateIndex
CREATE UNIQUE INDEX purchase_refunds_program_id_source_refund_id_key ON purchase_refunds(program_id, source, refund_id);

-- AddForeignKey
ALTER TABLE events ADD CONSTRAINT events_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs(id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE ledger_batches ADD CONSTRAINT ledger_batches_program_id_member_id_fkey FOREIGN KEY (program_id, member_id) REFERENCES members(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE spends ADD CONSTRAINT spends_program_id_member_id_fkey FOREIGN KEY (program_id, member_id) REFERENCES members(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE consumption_allocations ADD CONSTRAINT consumption_allocations_program_id_spend_id_fkey FOREIGN KEY (program_id, spend_id) REFERENCES spends(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE consumption_allocations ADD CONSTRAINT consumption_allocations_program_id_batch_id_fkey FOREIGN KEY (program_id, batch_id) REFERENCES ledger_batches(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE ledger_entries ADD CONSTRAINT ledger_entries_program_id_member_id_fkey FOREIGN KEY (program_id, member_id) REFERENCES members(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE ledger_entries ADD CONSTRAINT ledger_entries_program_id_batch_id_fkey FOREIGN KEY (program_id, batch_id) REFERENCES ledger_batches(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE purchase_refunds ADD CONSTRAINT purchase_refunds_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs(id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- ── Members ────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE members
  ADD CONSTRAINT members_outstanding_never_negative CHECK (outstanding >= 0),
  ADD CONSTRAINT members_debt_never_negative CHECK (debt >= 0);

-- ── Lots ───────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE ledger_batches
  ADD CONSTRAINT ledger_batches_ties_out CHECK (points = remaining + drawn + expired + reversed),
  ADD CONSTRAINT ledger_batches_never_negative CHECK (
    points >= 0 AND remaining >= 0 AND drawn >= 0 AND expired >= 0 AND reversed >= 0),
  ADD CONSTRAINT ledger_batches_awarded_within_request CHECK (points <= requested),
  ADD CONSTRAINT ledger_batches_cancelled_within_points CHECK (
    cancelled BETWEEN 0 AND points AND forgone BETWEEN 0 AND expired),
  ADD CONSTRAINT ledger_batches_refunded_within_amount CHECK (
    refunded BETWEEN 0 AND coalesce(amount, 0)),
  ADD CONSTRAINT ledger_batches_purchase_has_order CHECK (
    (source IN ('RECEIPT', 'SHOPIFY', 'MARKETPLACE'))
      = (order_id IS NOT NULL AND amount IS NOT NULL)),
  ADD CONSTRAINT ledger_batches_generation CHECK (generation >= 1),
  ADD CONSTRAINT ledger_batches_zero_said CHECK ((points = 0) = (zero_reason IS NOT NULL)),
  ADD CONSTRAINT ledger_batches_within_cap CHECK (points <= cap);

-- The idempotency key of a purchase, kept for ever.
CREATE UNIQUE INDEX ledger_batches_one_award ON ledger_batches
  (program_id, source, order_id, generation) WHERE order_id IS NOT NULL;
-- What can be drawn, oldest first: its size is that of the open lots, not of the past.
CREATE INDEX ledger_batches_open ON ledger_batches (program_id, member_id, earned_at, sequence)
  WHERE remaining > 0;
CREATE INDEX ledger_batches_due ON ledger_batches (program_id, expires_at) WHERE remaining > 0;

CREATE TRIGGER ledger_batches_facts_stay BEFORE UPDATE ON ledger_batches FOR EACH ROW
  WHEN ((OLD.program_id, OLD.id, OLD.member_id, OLD.sequence, OLD.source, OLD.order_id,
     OLD.generation, OLD.amount, OLD.requested, OLD.points, OLD.day, OLD.cap, OLD.earned_at,
     OLD.matures_at, OLD.expires_at)
    IS DISTINCT FROM
    (NEW.program_id, NEW.id, NEW.member_id, NEW.sequence, NEW.source, NEW.order_id,
     NEW.generation, NEW.amount, NEW.requested, NEW.points, NEW.day, NEW.cap, NEW.earned_at,
     NEW.matures_at, NEW.expires_at)
    OR NEW.expired < OLD.expired OR NEW.reversed < OLD.reversed
    OR NEW.cancelled < OLD.cancelled OR NEW.forgone < OLD.forgone OR NEW.refunded < OLD.refunded)
  EXECUTE FUNCTION refuse_change('what a lot was earned for stays');
CREATE TRIGGER ledger_batches_kept BEFORE DELETE ON ledger_batches FOR EACH ROW
  EXECUTE FUNCTION refuse_change('a lot is never deleted');

-- The cap of the day, judged when the transaction commits.
CREATE FUNCTION refuse_day_over_cap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT sum(points) FROM ledger_batches
      WHERE program_id = NEW.program_id AND member_id = NEW.member_id AND day = NEW.day
        AND order_id IS NOT NULL AND sequence <= NEW.sequence) > NEW.cap THEN
    RAISE EXCEPTION 'more points than the cap of the day'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = 'ledger_batches_day_within_cap';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_batches_day_within_cap AFTER INSERT ON ledger_batches
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.cap IS NOT NULL AND NEW.points > 0)
  EXECUTE FUNCTION refuse_day_over_cap();

-- ── Spends ─────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE spends
  ADD CONSTRAINT spends_points CHECK (points >= 1 AND refunded BETWEEN 0 AND points);
ALTER TABLE consumption_allocations
  ADD CONSTRAINT consumption_allocations_points
    CHECK (points >= 1 AND refunded BETWEEN 0 AND points);

CREATE FUNCTION refuse_spend_beside_draws() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM spends s CROSS JOIN LATERAL (
      SELECT sum(points) AS points, sum(refunded) AS refunded FROM consumption_allocations a
      WHERE a.program_id = s.program_id AND a.spend_id = s.id) drawn
    WHERE s.program_id = NEW.program_id AND s.id = NEW.id
      AND (s.points, s.refunded) IS DISTINCT FROM (drawn.points, drawn.refunded)) THEN
    RAISE EXCEPTION 'a spend that is not the sum of its draws'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = 'spends_tie_out';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER spends_tie_out AFTER INSERT OR UPDATE ON spends
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_spend_beside_draws();

-- A draw is no more taken away from its spend than the spend itself.
CREATE TRIGGER spends_facts_stay BEFORE UPDATE ON spends FOR EACH ROW
  WHEN ((OLD.program_id, OLD.id, OLD.member_id, OLD.points, OLD.idempotency_key, OLD.spent_at)
    IS DISTINCT FROM
    (NEW.program_id, NEW.id, NEW.member_id, NEW.points, NEW.idempotency_key, NEW.spent_at)
    OR NEW.refunded < OLD.refunded)
  EXECUTE FUNCTION refuse_change('what was spent stays');
CREATE TRIGGER spends_kept BEFORE DELETE ON spends FOR EACH ROW
  EXECUTE FUNCTION refuse_change('a spend is never deleted');
CREATE TRIGGER consumption_allocations_facts_stay BEFORE UPDATE ON consumption_allocations
  FOR EACH ROW
  WHEN ((OLD.program_id, OLD.spend_id, OLD.position, OLD.batch_id, OLD.points)
    IS DISTINCT FROM (NEW.program_id, NEW.spend_id, NEW.position, NEW.batch_id, NEW.points)
    OR NEW.refunded < OLD.refunded)
  EXECUTE FUNCTION refuse_change('what was drawn stays');
CREATE TRIGGER consumption_allocations_kept BEFORE DELETE ON consumption_allocations FOR EACH ROW
  EXECUTE FUNCTION refuse_change('a draw is never deleted');

-- ── The journal ────────────────────────────────────────────────────────────────────────────────

ALTER TABLE ledger_entries
  ADD CONSTRAINT ledger_entries_balance CHECK (balance_after >= 0),
  ADD CONSTRAINT ledger_entries_sign CHECK (CASE kind
    WHEN 'AWARD' THEN points > 0 WHEN 'REFUND' THEN points > 0
    WHEN 'ADJUST' THEN points <> 0 ELSE points < 0 END);

CREATE TRIGGER ledger_entries_kept BEFORE UPDATE OR DELETE ON ledger_entries FOR EACH ROW
  EXECUTE FUNCTION refuse_change('the journal is only added to');

CREATE FUNCTION refuse_broken_journal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.balance_after <> NEW.points + coalesce((
      SELECT balance_after FROM ledger_entries
      WHERE program_id = NEW.program_id AND member_id = NEW.member_id AND id < NEW.id
      ORDER BY id DESC LIMIT 1), 0) THEN
    RAISE EXCEPTION 'an entry that does not follow the one before it'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = 'ledger_entries_follow';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_entries_follow AFTER INSERT ON ledger_entries
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_broken_journal();

-- ── Refunds of purchases, events ───────────────────────────────────────────────────────────────

ALTER TABLE purchase_refunds
  ADD CONSTRAINT purchase_refunds_amounts
    CHECK (amount >= 1 AND reversed >= 0 AND debt >= 0 AND generation >= 1),
  ADD CONSTRAINT purchase_refunds_of_a_purchase
    CHECK (source IN ('RECEIPT', 'SHOPIFY', 'MARKETPLACE'));
CREATE INDEX purchase_refunds_waiting ON purchase_refunds
  (program_id, source, order_id, generation) WHERE pending;

CREATE TRIGGER purchase_refunds_facts_stay BEFORE UPDATE ON purchase_refunds FOR EACH ROW
  WHEN ((OLD.program_id, OLD.id, OLD.source, OLD.refund_id, OLD.order_id, OLD.generation,
     OLD.amount, OLD.at)
    IS DISTINCT FROM
    (NEW.program_id, NEW.id, NEW.source, NEW.refund_id, NEW.order_id, NEW.generation,
     NEW.amount, NEW.at)
    OR NOT OLD.pending)
  EXECUTE FUNCTION refuse_change('a refund happens once');
CREATE TRIGGER purchase_refunds_kept BEFORE DELETE ON purchase_refunds FOR EACH ROW
  EXECUTE FUNCTION refuse_change('a refund is never deleted');

CREATE TRIGGER events_kept BEFORE UPDATE OR DELETE ON events FOR EACH ROW
  EXECUTE FUNCTION refuse_change('what happened stays');
