-- Writes off what has expired of these members' lots as of `p_as_of`: each lot a line of the
-- journal, each member an event. Within the members' locks. Answers how many members had something.
DROP FUNCTION IF EXISTS expire_member(uuid, uuid, timestamptz);
CREATE OR REPLACE FUNCTION expire_members(
  p_program uuid, p_members uuid[], p_as_of timestamptz, p_now timestamptz)
RETURNS int LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_changed int;
BEGIN
  WITH due AS (
    SELECT id, member_id, remaining, earned_at, sequence FROM ledger_batches
    WHERE program_id = p_program AND member_id = ANY (p_members) AND remaining > 0
      AND expires_at <= p_as_of
    ORDER BY id FOR UPDATE),
  written_off AS (
    UPDATE ledger_batches l SET expired = l.expired + l.remaining, remaining = 0
    FROM due WHERE l.program_id = p_program AND l.id = due.id),
  holders AS (
    UPDATE members m SET outstanding = m.outstanding - lost.points
    FROM (SELECT member_id, sum(remaining)::bigint AS points FROM due GROUP BY member_id) lost
    WHERE m.program_id = p_program AND m.id = lost.member_id
    RETURNING m.id, m.outstanding, lost.points),
  -- In the order in which they are numbered, so that each line follows the one before it.
  lines AS (
    INSERT INTO ledger_entries (program_id, member_id, kind, points, balance_after, batch_id, at)
    SELECT p_program, due.member_id, 'EXPIRE', -due.remaining,
      h.outstanding + h.points - sum(due.remaining) OVER (
        PARTITION BY due.member_id ORDER BY due.earned_at, due.sequence), due.id, p_now
    FROM due JOIN holders h ON h.id = due.member_id
    ORDER BY due.member_id, due.earned_at, due.sequence),
  told AS (
    INSERT INTO events (program_id, type, member_id, data, at)
    SELECT p_program, 'points.expired', id, jsonb_build_object('points', points), p_now
    FROM holders)
  SELECT count(*) INTO v_changed FROM holders;
  RETURN v_changed;
END $$;

-- The sweep of a day: these members' lots as of its start, under their locks.
DROP FUNCTION IF EXISTS expire_points(uuid, int);
CREATE OR REPLACE FUNCTION expire_points(p_program uuid, p_day date, p_members uuid[])
RETURNS int LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
BEGIN
  PERFORM lock_members(p_program, p_members);
  RETURN expire_members(
    p_program, p_members, day_start(p_program, p_day), program_now(p_program));
END $$;
