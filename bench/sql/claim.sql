-- One claim in one transaction, as somebody would write it by hand who knows PostgreSQL.
--
-- In it: the same tables with the same constraints and triggers, an advisory lock on the identity,
-- the look for a code that is held already, one free code with SKIP LOCKED, the row that enforces
-- the limit, the record of the hand-out, the event, and a durable commit.
-- Not in it, though the engine does it: HTTP, GraphQL, authorisation, the locks on the address and
-- the mailbox, the pool's lock, status and dates, tiers, fallback and top-up, decryption. All of
-- that is in favour of this side. So is the VACUUM before each round, which spares its scan the
-- dead index entries at the head of the queue; the engine remembers where the queue begins.
--
-- (pgbench reads a colon before a letter or digit as a variable, in quotes too.)
-- Members are numbered, each client taking every sixteenth: nobody claims twice.
\set i :i + 1
\set n :first + :i * 16 + :client_id
BEGIN;
SELECT pg_advisory_xact_lock(hashtextextended('member:' || :n, 0));
SELECT id FROM codes
  WHERE program_id = :program
    AND member_id = ('00000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid
    AND pool_id = :pool AND status IN ('ALLOCATED', 'REDEEMED');
UPDATE codes SET status = 'ALLOCATED', allocated_at = now(), revealed_at = now(),
    member_id = ('00000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid,
    owner_match = 1, claim_key = ''
  WHERE program_id = :program AND id = (
    SELECT id FROM codes
    WHERE program_id = :program
      AND (pool_id, status) >= (:pool, CAST('AVAILABLE' AS code_status))
      AND (pool_id, status) <= (:pool, CAST('AVAILABLE' AS code_status))
    ORDER BY pool_id, status, id LIMIT 1 FOR UPDATE SKIP LOCKED)
  RETURNING id AS code \gset
INSERT INTO claims (program_id, pool_id, claimant, slot, code_id)
  VALUES (:program, :pool,
    'member' || ':' || '00000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'), 1, :code);
INSERT INTO code_reveals (program_id, code_id, kind, actor, at)
  VALUES (:program, :code, 'CLAIM', 'key', now());
INSERT INTO events (program_id, type, member_id, data, at)
  VALUES (:program, 'code.claimed',
    ('00000000-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid,
    jsonb_build_object('codeId', :code::uuid, 'poolId', :pool::uuid), now());
COMMIT;
