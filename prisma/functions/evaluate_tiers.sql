-- The daily evaluation of a page of members, as of the start of `p_day`: it begins, keeps and ends
-- graces, gives their warnings, and moves those down whose grace is over; after a change of the
-- ladder, and for what was bought while days were missed, also up. Answers for how many members
-- something changed: for nobody the second time.
--
-- Locks: MEMBER of each, waited for in their order; the program's row, shared, so that no other
-- days of warning are set while the present ones are reckoned with. The rows of the members need no
-- order of their own: nobody else judges several members at once without these locks.
CREATE OR REPLACE FUNCTION evaluate_tiers(p_program uuid, p_day date, p_members uuid[])
RETURNS int LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_program programs;
  v_now timestamptz;
  v_found record;
  v_moves record;
BEGIN
  PERFORM lock_members(p_program, p_members);
  SELECT * INTO STRICT v_program FROM programs WHERE id = p_program FOR SHARE;
  v_now := program_now(p_program);
  WITH judged AS MATERIALIZED (SELECT * FROM judge_tiers(v_program, p_day, p_members, v_now)),
  settled AS (
    UPDATE members m SET grace_ends_at = j.ends_at, grace_warned = j.warned, tier_due = j.due,
      ladder_version = v_program.ladder_version
    FROM judged j
    WHERE m.program_id = p_program AND m.id = j.member_id AND j.reason IS NULL),
  told AS (
    INSERT INTO events (program_id, type, member_id, data, at)
    SELECT p_program, e.type, j.member_id, jsonb_strip_nulls(jsonb_build_object(
      'tierId', j.tier_id, 'rank', j.rank, 'earned12Months', j.earned,
      'maintainPoints', j.maintain, 'endsAt', to_jsonb(j.ends_at), 'days', e.days)), v_now
    FROM judged j CROSS JOIN LATERAL (VALUES
      (1, 'tier.grace_started', j.verdict = 'BEGUN', NULL),
      (2, 'tier.grace_cleared', j.verdict = 'CLEARED', NULL),
      (3, 'tier.grace_warning', j.warns IS NOT NULL, j.warns)) e (place, type, happened, days)
    WHERE e.happened ORDER BY j.member_id, e.place)
  SELECT count(*) FILTER (WHERE verdict NOT IN ('KEPT', 'RUNNING') OR warns IS NOT NULL)
      AS changed,
    array_agg(member_id) FILTER (WHERE reason IS NOT NULL) AS movers,
    array_agg(to_rank) FILTER (WHERE reason IS NOT NULL) AS ranks,
    array_agg(reason) FILTER (WHERE reason IS NOT NULL) AS reasons
  INTO v_found FROM judged;
  FOR v_moves IN
    SELECT reason, array_agg(member_id) AS members, array_agg(to_rank) AS ranks
    FROM unnest(v_found.movers, v_found.ranks, v_found.reasons) AS move(member_id, to_rank, reason)
    GROUP BY reason
  LOOP
    PERFORM change_tiers(
      v_program, v_moves.members, v_moves.ranks, v_moves.reason, p_day, v_now);
  END LOOP;
  RETURN v_found.changed;
END $$;
