-- The oldest transaction that is still running, of any database of the server: whatever has a lower
-- number is settled, and stands in this snapshot if it was committed. STABLE, so that it is asked
-- of the snapshot with which the caller's statement reads: a later one would call events settled
-- that the statement cannot see, and a reader would pass them over.
CREATE OR REPLACE FUNCTION events_horizon()
RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint
$$;

-- The events of a program after a place in their order, of one member or of all, as far as nothing
-- can come in before them any more.
CREATE OR REPLACE FUNCTION read_events(
  p_program uuid, p_xid bigint, p_id bigint, p_limit int, p_member uuid DEFAULT NULL)
RETURNS SETOF events LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
  IF p_member IS NULL THEN
    RETURN QUERY SELECT * FROM events e
    WHERE e.program_id = p_program AND (e.xid, e.id) > (p_xid, p_id) AND e.xid < events_horizon()
    ORDER BY e.xid, e.id LIMIT p_limit;
  ELSE
    RETURN QUERY SELECT * FROM events e
    WHERE e.program_id = p_program AND (e.member_id, e.xid, e.id) > (p_member, p_xid, p_id)
      AND e.member_id <= p_member AND e.xid < events_horizon()
    ORDER BY e.member_id, e.xid, e.id LIMIT p_limit;
  END IF;
END $$;
