-- One award in one transaction, as somebody would write it by hand who knows PostgreSQL.
--
-- In it: the same tables with the same constraints and triggers, advisory locks on the order and on
-- the member, the look for an earlier award of the order, the day's total and the cap, the lot, the
-- member's balance, the line of the journal, the event, and a durable commit.
-- Not in it, though the engine does it: HTTP, GraphQL, authorisation, the tracker in Redis, the
-- rate and the tier's multiplier, the days of maturing and expiry in the program's time zone, debt,
-- refunds that wait for the award. All of that is in favour of this side.
--
-- Members are numbered, each client taking every sixteenth.
\set i :i + 1
\set n :first + :i * 16 + :client_id
BEGIN;
SELECT pg_advisory_xact_lock(hashtextextended('award:' || :n, 0));
SELECT pg_advisory_xact_lock(hashtextextended('member:' || :n, 0));
SELECT id FROM ledger_batches
  WHERE program_id = :program AND source = 'SHOPIFY' AND order_id = 'bare-' || :n
    AND generation = 1;
SELECT coalesce(sum(points), 0) AS used FROM ledger_batches
  WHERE program_id = :program
    AND member_id = ('00000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid
    AND day = CAST(now() AS date) AND order_id IS NOT NULL \gset
INSERT INTO ledger_batches (program_id, id, member_id, source, order_id, generation, amount,
    requested, points, remaining, day, cap, earned_at, matures_at, expires_at, created_at)
  VALUES (:program, uuidv7(),
    ('00000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid, 'SHOPIFY',
    'bare-' || :n, 1, 5000, 50, least(50, 1000 - :used::bigint), least(50, 1000 - :used::bigint),
    CAST(now() AS date), 1000, now(), now(), CAST(now() + interval '1 year' AS date) + 1, now())
  RETURNING id AS lot, points \gset
UPDATE members SET outstanding = outstanding + :points
  WHERE program_id = :program
    AND id = ('00000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid
  RETURNING outstanding \gset
INSERT INTO ledger_entries (program_id, member_id, kind, points, balance_after, batch_id, at)
  VALUES (:program,
    ('00000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid, 'AWARD', :points,
    :outstanding, :lot, now());
INSERT INTO events (program_id, type, member_id, data, at)
  VALUES (:program, 'points.awarded',
    ('00000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid,
    jsonb_build_object('batchId', :lot::uuid, 'source', 'SHOPIFY', 'points', :points::bigint),
    now());
COMMIT;
