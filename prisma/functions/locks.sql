-- The registry of advisory locks. Every one is transaction-scoped, so that no pooler and no crash
-- can leak it, and a transaction takes them in the order of their class numbers, and within a class
-- in the order of their keys. The class stands in the top byte, so that keys of two classes never
-- collide.
--
--   1 PROGRAM     settings that are judged against each other: the ladder, chains of fallback pools
--   2 IDENTITY    a claimant: member id, e-mail addresses, mailbox key, external id
--   3 TOP_UP      one process mints for a pool
--   4 POOL        claims and new codes share it; a change of the pool's status has it alone
--   5 CODE_SPACE  new codes of a program, one batch after the other: two lists that overlap would
--                 otherwise wait for each other's index entries in opposite orders
--   6 ORDER       what is spent on one order
--   7 AWARD       the award of one purchase, and its refunds
--   8 MEMBER      the points and the tier of one member

CREATE OR REPLACE FUNCTION lock_key(p_program uuid, p_class int, p_name text)
RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (p_class::bigint << 56)
    | (hashtextextended(p_program::text || p_name, 0) & 72057594037927935)
$$;

CREATE OR REPLACE FUNCTION lock_program(p_program uuid)
RETURNS void LANGUAGE sql VOLATILE AS $$
  SELECT pg_advisory_xact_lock(lock_key(p_program, 1, ''))
$$;

-- Waits. The keys are locked in sorted order, so that two callers never wait for each other.
CREATE OR REPLACE FUNCTION lock_identities(p_program uuid, p_keys text[])
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(k) FROM (
    SELECT DISTINCT lock_key(p_program, 2, name) AS k FROM unnest(p_keys) name ORDER BY k) sorted;
END $$;

CREATE OR REPLACE FUNCTION try_lock_identity(p_program uuid, p_key text)
RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT pg_try_advisory_xact_lock(lock_key(p_program, 2, p_key))
$$;

CREATE OR REPLACE FUNCTION try_lock_top_up(p_program uuid, p_pool uuid)
RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT pg_try_advisory_xact_lock(lock_key(p_program, 3, p_pool::text))
$$;

CREATE OR REPLACE FUNCTION lock_pool(p_program uuid, p_pool uuid)
RETURNS void LANGUAGE sql VOLATILE AS $$
  SELECT pg_advisory_xact_lock(lock_key(p_program, 4, p_pool::text))
$$;

CREATE OR REPLACE FUNCTION lock_pool_shared(p_program uuid, p_pool uuid)
RETURNS void LANGUAGE sql VOLATILE AS $$
  SELECT pg_advisory_xact_lock_shared(lock_key(p_program, 4, p_pool::text))
$$;

-- Also fails while somebody waits for the pool alone, so that a rush of claims never starves a
-- pause.
CREATE OR REPLACE FUNCTION try_lock_pool_shared(p_program uuid, p_pool uuid)
RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT pg_try_advisory_xact_lock_shared(lock_key(p_program, 4, p_pool::text))
$$;

CREATE OR REPLACE FUNCTION lock_code_space(p_program uuid)
RETURNS void LANGUAGE sql VOLATILE AS $$
  SELECT pg_advisory_xact_lock(lock_key(p_program, 5, ''))
$$;

CREATE OR REPLACE FUNCTION lock_order(p_program uuid, p_order text)
RETURNS void LANGUAGE sql VOLATILE AS $$
  SELECT pg_advisory_xact_lock(lock_key(p_program, 6, p_order))
$$;

CREATE OR REPLACE FUNCTION try_lock_order(p_program uuid, p_order text)
RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT pg_try_advisory_xact_lock(lock_key(p_program, 6, p_order))
$$;

CREATE OR REPLACE FUNCTION lock_award(p_program uuid, p_source text, p_order text)
RETURNS void LANGUAGE sql VOLATILE AS $$
  SELECT pg_advisory_xact_lock(lock_key(p_program, 7, p_source || ':' || p_order))
$$;

CREATE OR REPLACE FUNCTION try_lock_award(p_program uuid, p_source text, p_order text)
RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT pg_try_advisory_xact_lock(lock_key(p_program, 7, p_source || ':' || p_order))
$$;

CREATE OR REPLACE FUNCTION lock_member(p_program uuid, p_member uuid)
RETURNS void LANGUAGE sql VOLATILE AS $$
  SELECT pg_advisory_xact_lock(lock_key(p_program, 8, p_member::text))
$$;

CREATE OR REPLACE FUNCTION try_lock_member(p_program uuid, p_member uuid)
RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT pg_try_advisory_xact_lock(lock_key(p_program, 8, p_member::text))
$$;

-- Waits, for as many as a transaction may hold. Taken before anything is written: the order of the
-- locks is then the order of the events.
CREATE OR REPLACE FUNCTION lock_members(p_program uuid, p_members uuid[])
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(k) FROM (
    SELECT DISTINCT lock_key(p_program, 8, id::text) AS k FROM unnest(p_members) id
    ORDER BY k) sorted;
END $$;
