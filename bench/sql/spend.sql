-- One spend of five lots in one transaction, as somebody would write it by hand who knows
-- PostgreSQL.
--
-- In it: the same tables with the same constraints and triggers, an advisory lock on the member,
-- the look for an earlier spend of the key, the oldest open lots with FOR UPDATE, their draws, the
-- member's balance, the line of the journal, the event, and a durable commit.
-- Not in it, though the engine does it: HTTP, GraphQL, authorisation, lots that do not cover the
-- amount or cover more of it. All of that is in favour of this side.
--
-- Members are numbered, each client taking every sixteenth.
\set i :i + 1
\set n :first + :i * 16 + :client_id
BEGIN;
SELECT pg_advisory_xact_lock(hashtextextended('member:' || :n, 0));
SELECT id FROM spends WHERE program_id = :program AND idempotency_key = 'bare-' || :n;
INSERT INTO spends (program_id, id, member_id, points, idempotency_key, spent_at)
  VALUES (:program, uuidv7(),
    ('00000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid, 50, 'bare-' || :n,
    now())
  RETURNING id AS spend \gset
WITH open AS (
    SELECT id, remaining, earned_at, sequence FROM ledger_batches
    WHERE program_id = :program
      AND member_id = ('00000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid
      AND remaining > 0 AND matures_at <= now() AND expires_at > now()
    ORDER BY earned_at, sequence LIMIT 5 FOR UPDATE),
  drawn AS (
    UPDATE ledger_batches l SET remaining = 0, drawn = l.drawn + open.remaining
    FROM open WHERE l.program_id = :program AND l.id = open.id
    RETURNING l.id, open.remaining AS points, open.earned_at, open.sequence)
  INSERT INTO consumption_allocations (program_id, spend_id, position, batch_id, points)
  SELECT :program, :spend, row_number() OVER (ORDER BY earned_at, sequence), id, points FROM drawn;
UPDATE members SET outstanding = outstanding - 50
  WHERE program_id = :program
    AND id = ('00000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid
  RETURNING outstanding \gset
INSERT INTO ledger_entries (program_id, member_id, kind, points, balance_after, at)
  VALUES (:program,
    ('00000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid, 'SPEND', -50,
    :outstanding, now());
INSERT INTO events (program_id, type, member_id, data, at)
  VALUES (:program, 'points.spent',
    ('00000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid,
    jsonb_build_object('spendId', :spend::uuid, 'points', 50), now());
COMMIT;
