-- The tables of prisma/schema.prisma, then what Prisma cannot say: CHECKs, partial and exclusion
-- indexes, and triggers, so that the code and the database must both be wrong before money is.


-- CreateEnum
CREATE TYPE spend_order AS ENUM ('OLDEST_EARNED', 'EARLIEST_EXPIRY');

-- CreateEnum
CREATE TYPE scope AS ENUM ('PROGRAM_READ', 'PROGRAM_WRITE', 'POOLS_READ', 'POOLS_WRITE', 'CODES_CLAIM', 'CODES_REDEEM', 'CODES_REVEAL', 'CODES_REVOKE', 'MEMBERS_READ', 'MEMBERS_WRITE', 'TOKENS_MINT', 'POINTS_AWARD', 'POINTS_GRANT', 'POINTS_SPEND', 'LEDGER_READ', 'CAMPAIGNS_READ', 'CAMPAIGNS_WRITE', 'ADVISOR_READ', 'WORKERS_RUN', 'WEBHOOKS_WRITE', 'KEYS_WRITE');

-- CreateEnum
CREATE TYPE pool_status AS ENUM ('DRAFT', 'ACTIVE', 'PAUSED', 'ARCHIVED');

-- CreateEnum
CREATE TYPE discount_kind AS ENUM ('PERCENT', 'AMOUNT', 'GIFT');

-- CreateEnum
CREATE TYPE exhaustion_policy AS ENUM ('REFUSE', 'FALLBACK', 'TOP_UP');

-- CreateEnum
CREATE TYPE code_status AS ENUM ('AVAILABLE', 'ALLOCATED', 'REDEEMED', 'REVOKED');

-- CreateEnum
CREATE TYPE reveal_kind AS ENUM ('CLAIM', 'READ');

-- CreateTable
CREATE TABLE installed_functions (
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,

    CONSTRAINT installed_functions_pkey PRIMARY KEY (name)
);

-- CreateTable
CREATE TABLE idempotency_keys (
    program_id UUID NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    result_id UUID NOT NULL,
    created_at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (program_id,operation,key)
);

-- CreateTable
CREATE TABLE programs (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    currency TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    sandbox BOOLEAN NOT NULL,
    clock TIMESTAMPTZ(3),
    base_rate DECIMAL(12,6) NOT NULL,
    min_amount BIGINT NOT NULL,
    daily_cap BIGINT,
    expiry_months INTEGER,
    maturity_days INTEGER NOT NULL,
    grace_days INTEGER NOT NULL,
    grace_warning_days INTEGER[],
    reupgrade_bonus BIGINT NOT NULL,
    reupgrade_window_months INTEGER NOT NULL,
    birthday_bonus BIGINT NOT NULL,
    reengagement_bonus BIGINT NOT NULL,
    inactive_days INTEGER NOT NULL,
    point_value DECIMAL(18,6) NOT NULL,
    spend_order spend_order NOT NULL,
    max_discount_rate INTEGER NOT NULL,
    max_backdate_days INTEGER NOT NULL,
    created_at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT programs_pkey PRIMARY KEY (id)
);

-- CreateTable
CREATE TABLE tiers (
    program_id UUID NOT NULL,
    id UUID NOT NULL,
    rank INTEGER NOT NULL,
    name TEXT NOT NULL,
    qualify_points BIGINT NOT NULL,
    maintain_points BIGINT NOT NULL,
    multiplier INTEGER NOT NULL,

    CONSTRAINT tiers_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE secret_keys (
    program_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT,
    hash BYTEA NOT NULL,
    last_four TEXT NOT NULL,
    scopes scope[],
    created_at TIMESTAMPTZ(3) NOT NULL,
    last_used_at TIMESTAMPTZ(3),
    revoked_at TIMESTAMPTZ(3),

    CONSTRAINT secret_keys_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE members (
    program_id UUID NOT NULL,
    id UUID NOT NULL,
    external_id TEXT COLLATE "C" NOT NULL,
    email TEXT COLLATE "C",
    email_verified BOOLEAN NOT NULL,
    birthday DATE,
    tier_id UUID NOT NULL,
    created_at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT members_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE pools (
    program_id UUID NOT NULL,
    id UUID NOT NULL,
    name TEXT NOT NULL,
    status pool_status NOT NULL,
    discount_kind discount_kind NOT NULL,
    discount_value BIGINT NOT NULL,
    max_discount BIGINT,
    min_order_amount BIGINT NOT NULL,
    prefix TEXT NOT NULL,
    starts_at TIMESTAMPTZ(3),
    ends_at TIMESTAMPTZ(3),
    per_member_limit INTEGER NOT NULL,
    min_tier_id UUID,
    exhaustion exhaustion_policy NOT NULL,
    fallback_pool_id UUID,
    max_codes INTEGER,
    stackable BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT pools_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE code_batches (
    program_id UUID NOT NULL,
    id UUID NOT NULL,
    pool_id UUID NOT NULL,
    count INTEGER NOT NULL,
    created_at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT code_batches_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE codes (
    program_id UUID NOT NULL,
    id UUID NOT NULL,
    pool_id UUID NOT NULL,
    batch_id UUID NOT NULL,
    ciphertext BYTEA NOT NULL,
    key_id TEXT NOT NULL,
    lookup_hash BYTEA NOT NULL,
    lookup_key_id TEXT NOT NULL,
    masked TEXT NOT NULL,
    status code_status NOT NULL,
    asked_pool_id UUID,
    claim_key TEXT,
    member_id UUID,
    owner_match SMALLINT,
    claim_email TEXT,
    allocated_at TIMESTAMPTZ(3),
    revealed_at TIMESTAMPTZ(3),
    reserved_for TEXT,
    reserved_until TIMESTAMPTZ(3),
    redeemed_at TIMESTAMPTZ(3),
    revoked_at TIMESTAMPTZ(3),
    revoke_reason TEXT,

    CONSTRAINT codes_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE lookup_keys (
    program_id UUID NOT NULL,
    key_id TEXT NOT NULL,

    CONSTRAINT lookup_keys_pkey PRIMARY KEY (program_id,key_id)
);

-- CreateTable
CREATE TABLE claims (
    program_id UUID NOT NULL,
    pool_id UUID NOT NULL,
    claimant TEXT NOT NULL,
    slot INTEGER NOT NULL,
    code_id UUID NOT NULL,

    CONSTRAINT claims_pkey PRIMARY KEY (program_id,pool_id,claimant,slot)
);

-- CreateTable
CREATE TABLE redemptions (
    program_id UUID NOT NULL,
    id UUID NOT NULL,
    code_id UUID NOT NULL,
    order_id TEXT NOT NULL,
    order_amount BIGINT NOT NULL,
    discount_amount BIGINT NOT NULL,
    stackable BOOLEAN NOT NULL,
    redeemed_at TIMESTAMPTZ(3) NOT NULL,
    voided_at TIMESTAMPTZ(3),
    void_reason TEXT,

    CONSTRAINT redemptions_pkey PRIMARY KEY (program_id,id)
);

-- CreateTable
CREATE TABLE code_reveals (
    program_id UUID NOT NULL,
    id BIGSERIAL NOT NULL,
    code_id UUID NOT NULL,
    kind reveal_kind NOT NULL,
    actor TEXT NOT NULL,
    at TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT code_reveals_pkey PRIMARY KEY (program_id,id)
);

-- CreateIndex
CREATE UNIQUE INDEX tiers_program_id_rank_key ON tiers(program_id, rank);

-- CreateIndex
CREATE UNIQUE INDEX secret_keys_program_id_hash_key ON secret_keys(program_id, hash);

-- CreateIndex
CREATE INDEX members_program_id_email_idx ON members(program_id, email);

-- CreateIndex
CREATE INDEX members_program_id_tier_id_idx ON members(program_id, tier_id);

-- CreateIndex
CREATE UNIQUE INDEX members_program_id_external_id_key ON members(program_id, external_id);

-- CreateIndex
CREATE INDEX pools_program_id_status_idx ON pools(program_id, status);

-- CreateIndex
CREATE INDEX pools_program_id_fallback_pool_id_idx ON pools(program_id, fallback_pool_id);

-- CreateIndex
CREATE INDEX pools_program_id_min_tier_id_idx ON pools(program_id, min_tier_id);

-- CreateIndex
CREATE INDEX code_batches_program_id_pool_id_idx ON code_batches(program_id, pool_id);

-- CreateIndex
CREATE INDEX codes_program_id_pool_id_status_id_idx ON codes(program_id, pool_id, status, id);

-- CreateIndex
CREATE UNIQUE INDEX codes_program_id_lookup_hash_key ON codes(program_id, lookup_hash);

-- CreateIndex
CREATE INDEX claims_program_id_code_id_idx ON claims(program_id, code_id);

-- CreateIndex
CREATE INDEX redemptions_program_id_code_id_idx ON redemptions(program_id, code_id);

-- CreateIndex
CREATE INDEX redemptions_program_id_order_id_idx ON redemptions(program_id, order_id);

-- CreateIndex
CREATE INDEX code_reveals_program_id_code_id_idx ON code_reveals(program_id, code_id);

-- AddForeignKey
ALTER TABLE idempotency_keys ADD CONSTRAINT idempotency_keys_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs(id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE tiers ADD CONSTRAINT tiers_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs(id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE secret_keys ADD CONSTRAINT secret_keys_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs(id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE members ADD CONSTRAINT members_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs(id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE members ADD CONSTRAINT members_program_id_tier_id_fkey FOREIGN KEY (program_id, tier_id) REFERENCES tiers(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE pools ADD CONSTRAINT pools_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs(id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE pools ADD CONSTRAINT pools_program_id_min_tier_id_fkey FOREIGN KEY (program_id, min_tier_id) REFERENCES tiers(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE pools ADD CONSTRAINT pools_program_id_fallback_pool_id_fkey FOREIGN KEY (program_id, fallback_pool_id) REFERENCES pools(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE code_batches ADD CONSTRAINT code_batches_program_id_pool_id_fkey FOREIGN KEY (program_id, pool_id) REFERENCES pools(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE codes ADD CONSTRAINT codes_program_id_pool_id_fkey FOREIGN KEY (program_id, pool_id) REFERENCES pools(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE codes ADD CONSTRAINT codes_program_id_asked_pool_id_fkey FOREIGN KEY (program_id, asked_pool_id) REFERENCES pools(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE codes ADD CONSTRAINT codes_program_id_batch_id_fkey FOREIGN KEY (program_id, batch_id) REFERENCES code_batches(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE codes ADD CONSTRAINT codes_program_id_member_id_fkey FOREIGN KEY (program_id, member_id) REFERENCES members(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE lookup_keys ADD CONSTRAINT lookup_keys_program_id_fkey FOREIGN KEY (program_id) REFERENCES programs(id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE claims ADD CONSTRAINT claims_program_id_pool_id_fkey FOREIGN KEY (program_id, pool_id) REFERENCES pools(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE claims ADD CONSTRAINT claims_program_id_code_id_fkey FOREIGN KEY (program_id, code_id) REFERENCES codes(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE redemptions ADD CONSTRAINT redemptions_program_id_code_id_fkey FOREIGN KEY (program_id, code_id) REFERENCES codes(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE code_reveals ADD CONSTRAINT code_reveals_program_id_code_id_fkey FOREIGN KEY (program_id, code_id) REFERENCES codes(program_id, id) ON DELETE RESTRICT ON UPDATE CASCADE;

-- ── Programs ───────────────────────────────────────────────────────────────────────────────────

ALTER TABLE programs
  ADD CONSTRAINT programs_name_said CHECK (length(name) BETWEEN 1 AND 200),
  ADD CONSTRAINT programs_currency_iso CHECK (currency ~ '^[A-Z]{3}$'),
  ADD CONSTRAINT programs_clock_of_a_sandbox CHECK (sandbox = (clock IS NOT NULL)),
  ADD CONSTRAINT programs_settings_in_range CHECK (
    base_rate >= 0 AND min_amount >= 0 AND daily_cap >= 0 AND expiry_months >= 1
    AND maturity_days >= 0 AND grace_days >= 0 AND 0 <= ALL (grace_warning_days)
    AND reupgrade_bonus >= 0 AND reupgrade_window_months >= 0 AND birthday_bonus >= 0
    AND reengagement_bonus >= 0 AND inactive_days >= 1 AND point_value >= 0
    AND max_discount_rate BETWEEN 0 AND 10000 AND max_backdate_days >= 0);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
END $$;

-- A lot's day and an amount's meaning would change under rows that are already written.
CREATE TRIGGER programs_fixed BEFORE UPDATE ON programs FOR EACH ROW
  WHEN ((OLD.currency, OLD.time_zone, OLD.sandbox)
    IS DISTINCT FROM (NEW.currency, NEW.time_zone, NEW.sandbox))
  EXECUTE FUNCTION refuse_change('currency, time zone and sandbox are fixed at creation');
CREATE TRIGGER programs_clock_forward BEFORE UPDATE ON programs FOR EACH ROW
  WHEN (NEW.clock < OLD.clock)
  EXECUTE FUNCTION refuse_change('a sandbox clock only goes forward');

ALTER TABLE tiers
  ADD CONSTRAINT tiers_rank_from_one CHECK (rank >= 1),
  ADD CONSTRAINT tiers_first_qualifies_at_zero CHECK (rank > 1 OR qualify_points = 0),
  ADD CONSTRAINT tiers_maintain_within_qualify
    CHECK (maintain_points BETWEEN 0 AND qualify_points),
  ADD CONSTRAINT tiers_multiplier_positive CHECK (multiplier >= 0);

-- ── Members ────────────────────────────────────────────────────────────────────────────────────

-- Both texts are compared byte by byte ("C"): so their indexes answer a search by the beginning.
ALTER TABLE members
  ADD CONSTRAINT members_email_normalised CHECK (email = lower(btrim(email)) AND email <> ''),
  ADD CONSTRAINT members_verified_has_email CHECK (email IS NOT NULL OR NOT email_verified);

-- ── Pools ──────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE pools
  ADD CONSTRAINT pools_discount_in_range CHECK (CASE discount_kind
    WHEN 'PERCENT' THEN discount_value BETWEEN 1 AND 10000
    WHEN 'AMOUNT' THEN discount_value >= 1
    ELSE discount_value = 0 END),
  ADD CONSTRAINT pools_max_discount_of_percent
    CHECK (max_discount IS NULL OR (discount_kind = 'PERCENT' AND max_discount >= 1)),
  ADD CONSTRAINT pools_min_order_amount CHECK (min_order_amount >= 0),
  ADD CONSTRAINT pools_dates_half_open CHECK (starts_at < ends_at),
  ADD CONSTRAINT pools_member_limit CHECK (per_member_limit BETWEEN 1 AND 1000),
  ADD CONSTRAINT pools_fallback_named
    CHECK ((exhaustion = 'FALLBACK') = (fallback_pool_id IS NOT NULL)),
  ADD CONSTRAINT pools_not_its_own_fallback CHECK (fallback_pool_id <> id),
  ADD CONSTRAINT pools_top_up_bounded CHECK (exhaustion <> 'TOP_UP' OR max_codes IS NOT NULL),
  ADD CONSTRAINT pools_max_codes CHECK (max_codes >= 1);

CREATE TRIGGER pools_start_in_draft BEFORE INSERT ON pools FOR EACH ROW
  WHEN (NEW.status <> 'DRAFT')
  EXECUTE FUNCTION refuse_change('a pool starts in DRAFT');
CREATE TRIGGER pools_lifecycle BEFORE UPDATE ON pools FOR EACH ROW
  WHEN (OLD.status <> NEW.status AND NOT (
    (OLD.status = 'DRAFT' AND NEW.status = 'ACTIVE')
    OR (OLD.status = 'ACTIVE' AND NEW.status IN ('PAUSED', 'ARCHIVED'))
    OR (OLD.status = 'PAUSED' AND NEW.status IN ('ACTIVE', 'ARCHIVED'))))
  EXECUTE FUNCTION refuse_change('no such arrow in the life of a pool');
CREATE TRIGGER pools_edited_in_draft BEFORE UPDATE ON pools FOR EACH ROW
  WHEN (OLD.status <> 'DRAFT' AND
    (OLD.name, OLD.discount_kind, OLD.discount_value, OLD.max_discount, OLD.min_order_amount,
     OLD.prefix, OLD.starts_at, OLD.ends_at, OLD.per_member_limit, OLD.min_tier_id,
     OLD.exhaustion, OLD.fallback_pool_id, OLD.max_codes, OLD.stackable)
    IS DISTINCT FROM
    (NEW.name, NEW.discount_kind, NEW.discount_value, NEW.max_discount, NEW.min_order_amount,
     NEW.prefix, NEW.starts_at, NEW.ends_at, NEW.per_member_limit, NEW.min_tier_id,
     NEW.exhaustion, NEW.fallback_pool_id, NEW.max_codes, NEW.stackable))
  EXECUTE FUNCTION refuse_change('a pool is edited in DRAFT only');

-- ── Codes ──────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE code_batches
  ADD CONSTRAINT code_batches_count CHECK (count BETWEEN 1 AND 5000);

ALTER TABLE codes
  ADD CONSTRAINT codes_claimed_or_free CHECK (CASE status
    WHEN 'AVAILABLE' THEN allocated_at IS NULL AND member_id IS NULL AND claim_email IS NULL
      AND claim_key IS NULL AND asked_pool_id IS NULL AND revoked_at IS NULL
    WHEN 'REVOKED' THEN revoked_at IS NOT NULL
    ELSE allocated_at IS NOT NULL AND claim_key IS NOT NULL AND revoked_at IS NULL
      AND (member_id IS NOT NULL OR claim_email IS NOT NULL) END),
  ADD CONSTRAINT codes_redeemed_at CHECK ((status = 'REDEEMED') = (redeemed_at IS NOT NULL)),
  ADD CONSTRAINT codes_reservation_whole
    CHECK ((reserved_for IS NULL) = (reserved_until IS NULL)),
  ADD CONSTRAINT codes_reserved_while_allocated
    CHECK (reserved_for IS NULL OR status = 'ALLOCATED'),
  ADD CONSTRAINT codes_owner_match
    CHECK ((member_id IS NULL) = (owner_match IS NULL) AND owner_match BETWEEN 1 AND 3),
  ADD CONSTRAINT codes_hash_of_sha256 CHECK (octet_length(lookup_hash) = 32);

-- The wallet of a member, and what a guest already holds.
CREATE INDEX codes_of_member ON codes (program_id, member_id) WHERE member_id IS NOT NULL;
CREATE INDEX codes_of_guest ON codes (program_id, claim_email) WHERE claim_email IS NOT NULL;

CREATE TRIGGER codes_start_available BEFORE INSERT ON codes FOR EACH ROW
  WHEN (NEW.status <> 'AVAILABLE')
  EXECUTE FUNCTION refuse_change('a code starts AVAILABLE');
CREATE TRIGGER codes_lifecycle BEFORE UPDATE ON codes FOR EACH ROW
  WHEN (OLD.status <> NEW.status AND NOT (
    (OLD.status = 'AVAILABLE' AND NEW.status IN ('ALLOCATED', 'REVOKED'))
    OR (OLD.status = 'ALLOCATED' AND NEW.status IN ('REDEEMED', 'REVOKED'))
    OR (OLD.status = 'REDEEMED' AND NEW.status = 'ALLOCATED')
    OR (OLD.status IN ('ALLOCATED', 'REVOKED') AND NEW.status = 'AVAILABLE'
        AND OLD.revealed_at IS NULL)))
  EXECUTE FUNCTION refuse_change('no such arrow in the life of a code');
CREATE TRIGGER codes_owner_stays BEFORE UPDATE ON codes FOR EACH ROW
  WHEN (OLD.member_id IS NOT NULL AND NEW.member_id IS DISTINCT FROM OLD.member_id
    AND NEW.status <> 'AVAILABLE')
  EXECUTE FUNCTION refuse_change('a bound code never moves');
CREATE TRIGGER codes_pool_stays BEFORE UPDATE ON codes FOR EACH ROW
  WHEN ((OLD.program_id, OLD.id, OLD.pool_id, OLD.batch_id)
    IS DISTINCT FROM (NEW.program_id, NEW.id, NEW.pool_id, NEW.batch_id))
  EXECUTE FUNCTION refuse_change('a code stays in its pool');

-- New codes belong in a pool that takes them: a draft, a paused one, or one that tops itself up.
CREATE FUNCTION refuse_codes_in_closed_pool() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM (SELECT DISTINCT program_id, pool_id FROM added) a
    JOIN pools p ON p.program_id = a.program_id AND p.id = a.pool_id
    WHERE NOT (p.status IN ('DRAFT', 'PAUSED') OR (p.status = 'ACTIVE' AND p.exhaustion = 'TOP_UP'))
  ) THEN
    RAISE EXCEPTION 'this pool takes no new codes'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = 'codes_in_open_pool';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER codes_in_open_pool AFTER INSERT ON codes REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_codes_in_closed_pool();

-- ── Claims ─────────────────────────────────────────────────────────────────────────────────────

ALTER TABLE claims ADD CONSTRAINT claims_slot_from_one CHECK (slot >= 1);

CREATE FUNCTION refuse_slot_beyond_limit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (
    SELECT FROM added a JOIN pools p ON p.program_id = a.program_id AND p.id = a.pool_id
    WHERE a.slot > p.per_member_limit
  ) THEN
    RAISE EXCEPTION 'a slot beyond the limit of its pool'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = 'claims_within_limit';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER claims_within_limit AFTER INSERT ON claims REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_slot_beyond_limit();

-- ── Redemptions ────────────────────────────────────────────────────────────────────────────────

ALTER TABLE redemptions
  ADD CONSTRAINT redemptions_amounts
    CHECK (order_amount >= 0 AND discount_amount BETWEEN 0 AND order_amount),
  ADD CONSTRAINT redemptions_void_said CHECK ((voided_at IS NULL) = (void_reason IS NULL));

CREATE UNIQUE INDEX redemptions_one_live ON redemptions (program_id, code_id)
  WHERE voided_at IS NULL;
CREATE UNIQUE INDEX redemptions_one_on_an_order ON redemptions (program_id, order_id)
  WHERE voided_at IS NULL AND NOT stackable;

-- An order takes one code, or several that may all stand beside others: never a mixture. An
-- exclusion constraint would say the same, at ten times the cost of the whole redemption; the lock
-- makes the look as good as one, whoever inserts.
CREATE FUNCTION refuse_mixture_on_an_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM lock_order(o.program_id, o.order_id) FROM (
    SELECT DISTINCT program_id, order_id FROM added ORDER BY program_id, order_id) o;
  IF EXISTS (
    SELECT FROM added a CROSS JOIN LATERAL (
      SELECT FROM redemptions r
      WHERE r.program_id = a.program_id AND r.order_id = a.order_id AND r.voided_at IS NULL
        AND r.stackable <> a.stackable LIMIT 1) other
    WHERE a.voided_at IS NULL
  ) THEN
    RAISE EXCEPTION 'a code that stands alone beside others on one order'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = 'redemptions_no_mixture';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER redemptions_no_mixture AFTER INSERT ON redemptions REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_mixture_on_an_order();

CREATE TRIGGER redemptions_facts_stay BEFORE UPDATE ON redemptions FOR EACH ROW
  WHEN (OLD.voided_at IS NOT NULL OR
    (OLD.program_id, OLD.id, OLD.code_id, OLD.order_id, OLD.order_amount, OLD.discount_amount,
     OLD.stackable, OLD.redeemed_at)
    IS DISTINCT FROM
    (NEW.program_id, NEW.id, NEW.code_id, NEW.order_id, NEW.order_amount, NEW.discount_amount,
     NEW.stackable, NEW.redeemed_at))
  EXECUTE FUNCTION refuse_change('a redemption is voided once, and changed in no other way');

CREATE TRIGGER redemptions_kept BEFORE DELETE ON redemptions FOR EACH ROW
  EXECUTE FUNCTION refuse_change('a redemption is never deleted');
CREATE TRIGGER code_reveals_kept BEFORE UPDATE OR DELETE ON code_reveals FOR EACH ROW
  EXECUTE FUNCTION refuse_change('the record of readings is only added to');
CREATE TRIGGER codes_kept BEFORE DELETE ON codes FOR EACH ROW
  EXECUTE FUNCTION refuse_change('a code is never deleted');

-- ── What a hot function knows of one of its items while it works ───────────────────────────────

CREATE TYPE claim_item AS (
  ord int,
  asked_pool_id uuid,
  -- The member that the claimant is, also where only a verified address was given.
  member_id uuid,
  -- Of a guest: the address that was given.
  email text,
  owner_match smallint,
  claim_key text,
  actor text,
  -- Everything that could be the same person, for the locks.
  keys text[]
);

-- One pool of the chain that starts at the pool which was asked.
CREATE TYPE pool_link AS (asked_id uuid, depth int, pool_id uuid);

CREATE TYPE claim_result AS (ord int, outcome text, code_id uuid, top_up_pool_id uuid);

CREATE TYPE redeem_item AS (
  ord int,
  code_id uuid,
  order_id text,
  order_amount bigint,
  -- The member whose token asks, and the member that the merchant's server says owns the code.
  caller_id uuid,
  owner_id uuid,
  redemption_id uuid,
  outcome text
);
