-- The daily evaluation of a page of members, as of the start of `p_day`: it begins, keeps and ends
-- graces, gives their warnings, and moves those down whose grace is over; after a change of the
-- ladder also up. Answers for how many members something changed: for nobody the second time.
--
-- Locks: MEMBER of each, waited for in their order. Their rows need no order of their own: nobody
-- else changes several members at once without these locks.
CREATE OR REPLACE FUNCTION evaluate_tiers(p_program uuid, p_day date, p_members uuid[])
RETURNS int LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
  v_program programs;
  v_now timestamptz;
  v_found record;
BEGIN
  PERFORM lock_members(p_program, p_members);
  SELECT * INTO STRICT v_program FROM programs WHERE id = p_program;
  v_now := program_now(p_program);
  WITH judged AS MATERIALIZED (SELECT * FROM judge_tiers(v_program, p_day, p_members, v_now)),
  settled AS (
    UPDATE members m SET grace_ends_at = j.ends_at, grace_warned = j.warned, tier_due = j.due,
      ladder_version = v_program.ladder_version
    FROM judged j
    WHERE m.program_id = p_program AND m.id = j.member_id AND j.verdict NOT IN ('UP', 'DOWN')),
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
    array_agg(member_id) FILTER (WHERE verdict = 'UP') AS up,
    array_agg(to_rank) FILTER (WHERE verdict = 'UP') AS up_to,
    array_agg(member_id) FILTER (WHERE verdict = 'DOWN') AS down,
    array_agg(rank - 1) FILTER (WHERE verdict = 'DOWN') AS down_to
  INTO v_found FROM judged;
  IF v_found.up IS NOT NULL THEN
    PERFORM change_tiers(v_program, v_found.up, v_found.up_to, 'LADDER_CHANGED', p_day, v_now);
  END IF;
  IF v_found.down IS NOT NULL THEN
    PERFORM change_tiers(v_program, v_found.down, v_found.down_to, 'GRACE_OVER', p_day, v_now);
  END IF;
  RETURN v_found.changed;
END $$;
