-- Writes off what has expired of one member's lots. Within the member's lock; answers the points.
CREATE OR REPLACE FUNCTION expire_member(p_program uuid, p_member uuid, p_now timestamptz)
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_lot record;
  v_points bigint := 0;
BEGIN
  FOR v_lot IN
    SELECT id, remaining FROM ledger_batches
    WHERE program_id = p_program AND member_id = p_member AND remaining > 0
      AND expires_at <= p_now
    ORDER BY earned_at, sequence FOR UPDATE
  LOOP
    UPDATE ledger_batches SET expired = expired + remaining, remaining = 0
    WHERE program_id = p_program AND id = v_lot.id;
    PERFORM write_entry(p_program, p_member, 'EXPIRE', -v_lot.remaining, v_lot.id, p_now);
    v_points := v_points + v_lot.remaining;
  END LOOP;
  IF v_points > 0 THEN
    PERFORM append_event(p_program, 'points.expired', p_member,
      jsonb_build_object('points', v_points), p_now);
  END IF;
  RETURN v_points;
END $$;

-- The sweep: a page of members who have something to write off as of now, under their locks, in the
-- order of the locks. Answers how many members it changed; 0 when nothing is due.
CREATE OR REPLACE FUNCTION expire_points(p_program uuid, p_members int)
RETURNS int LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_now timestamptz := program_now(p_program);
  v_member record;
  v_changed int := 0;
BEGIN
  FOR v_member IN
    SELECT due.member_id FROM (
      SELECT DISTINCT member_id FROM (
        SELECT member_id FROM ledger_batches
        WHERE program_id = p_program AND remaining > 0 AND expires_at <= v_now
        ORDER BY expires_at LIMIT p_members) page) due
    ORDER BY lock_key(p_program, 8, due.member_id::text)
  LOOP
    PERFORM lock_member(p_program, v_member.member_id);
    PERFORM expire_member(p_program, v_member.member_id, v_now);
    v_changed := v_changed + 1;
  END LOOP;
  RETURN v_changed;
END $$;
