-- Writes off what has expired of these members' lots as of `p_as_of`: each lot a line of the
-- journal, each member an event. Within the members' locks. Answers how many members had something.
--
-- Every statement looks for its rows one by one, through an index: a plan made for these very
-- values would rather read all rows of a program that is not large.
DROP FUNCTION IF EXISTS expire_member(uuid, uuid, timestamptz);
CREATE OR REPLACE FUNCTION expire_members(
  p_program uuid, p_members uuid[], p_as_of timestamptz, p_now timestamptz)
RETURNS int LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_lots uuid[];
  v_members uuid[];
  v_points bigint[];
  v_changed int;
BEGIN
  SELECT array_agg(id ORDER BY member_id, earned_at, sequence),
    array_agg(member_id ORDER BY member_id, earned_at, sequence),
    array_agg(remaining ORDER BY member_id, earned_at, sequence)
  INTO v_lots, v_members, v_points FROM (
    SELECT * FROM ledger_batches
    WHERE program_id = p_program AND member_id = ANY (p_members) AND remaining > 0
      AND expires_at <= p_as_of
    ORDER BY id FOR UPDATE) due;
  IF v_lots IS NULL THEN
    RETURN 0;
  END IF;
  UPDATE ledger_batches l SET expired = l.expired + l.remaining, remaining = 0
  FROM unnest(v_lots) due(id) WHERE l.program_id = p_program AND l.id = due.id;
  WITH lost AS (
    UPDATE members m SET outstanding = m.outstanding - due.points
    FROM (SELECT member, sum(points)::bigint AS points
      FROM unnest(v_members, v_points) lot(member, points) GROUP BY member) due
    WHERE m.program_id = p_program AND m.id = due.member
    RETURNING m.id, due.points)
  INSERT INTO events (program_id, type, member_id, data, at)
  SELECT p_program, 'points.expired', id, jsonb_build_object('points', points), p_now FROM lost;
  GET DIAGNOSTICS v_changed = ROW_COUNT;
  -- Each line follows the one before it: the last leaves what the member has now.
  INSERT INTO ledger_entries (program_id, member_id, kind, points, balance_after, batch_id, at)
  SELECT p_program, m.id, 'EXPIRE', -due.points, m.outstanding - due.points
    + sum(due.points) OVER (PARTITION BY m.id ORDER BY due.ord DESC), due.lot, p_now
  FROM unnest(v_lots, v_members, v_points) WITH ORDINALITY due(lot, member, points, ord)
  JOIN members m ON m.program_id = p_program AND m.id = due.member
  ORDER BY due.ord;
  RETURN v_changed;
END $$;

-- The sweep of a day: these members' lots as of its start, under their locks.
DROP FUNCTION IF EXISTS expire_points(uuid, int);
CREATE OR REPLACE FUNCTION expire_points(p_program uuid, p_day date, p_members uuid[])
RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM lock_members(p_program, p_members);
  RETURN expire_members(
    p_program, p_members, day_start(p_program, p_day), program_now(p_program));
END $$;
