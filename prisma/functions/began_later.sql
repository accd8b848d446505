-- Whether a transaction of which 32 bits are known is one of those between mine and the next that
-- the snapshot does not know. All of them are fewer than 2^32, so their distance from mine, modulo
-- 2^32, says it. Not age(): for it a row that nobody has touched for 2^31 transactions comes from
-- the future, and would be refused for the 2^31 that follow.
CREATE OR REPLACE FUNCTION began_later(p_writer bigint, p_mine bigint, p_next bigint)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT (p_writer - p_mine) & 4294967295 BETWEEN 1 AND p_next - p_mine - 1
$$;

-- The same of whoever wrote a row that the caller's statement sees.
CREATE OR REPLACE FUNCTION began_later(p_xmin xid)
RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT began_later(p_xmin::text::bigint, pg_current_xact_id()::text::bigint,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
$$;
