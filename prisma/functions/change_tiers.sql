-- What an award, a grant or a bonus of the day makes of its member's tier: up to the highest rank
-- that is reached, over several at once. Called when all of it is written, refunds that were
-- waiting for an award included; within the member's lock. Nothing is added up for a member on the
-- last rank.
CREATE OR REPLACE FUNCTION raise_tier(p_program programs, p_member uuid, p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_stands record;
  v_today date;
  v_points bigint;
BEGIN
  SELECT m.grace_ends_at, t.maintain_points, higher.qualify_points AS higher
  INTO STRICT v_stands FROM members m
  JOIN tiers t ON t.program_id = m.program_id AND t.id = m.tier_id
  LEFT JOIN tiers higher ON higher.program_id = t.program_id AND higher.rank = t.rank + 1
  WHERE m.program_id = p_program.id AND m.id = p_member;
  IF v_stands.higher IS NULL AND v_stands.grace_ends_at IS NULL THEN
    RETURN;
  END IF;
  v_today := day_of(p_program.id, p_now);
  SELECT coalesce(sum(q.points), 0) INTO v_points
  FROM qualifying_lots(p_program.id, p_member, v_today) q;
  IF v_points >= v_stands.higher THEN
    PERFORM change_tiers(p_program, ARRAY[p_member], ARRAY[rank_of(p_program.id, v_points)],
      'QUALIFIED', v_today, p_now);
  ELSIF v_stands.grace_ends_at IS NOT NULL AND v_points >= v_stands.maintain_points THEN
    -- The next day clears the grace. One that is due already stays: it may bring a warning.
    UPDATE members SET tier_due = least(tier_due, v_today + 1)
    WHERE program_id = p_program.id AND id = p_member;
  END IF;
END $$;

-- Points that a refund took back may be missed on the next day; never at once.
CREATE OR REPLACE FUNCTION doubt_tier(p_program uuid, p_member uuid, p_now timestamptz)
RETURNS void LANGUAGE sql VOLATILE AS $$
  UPDATE members m SET tier_due = least(m.tier_due, day_of(p_program, p_now) + 1)
  FROM tiers t
  WHERE m.program_id = p_program AND m.id = p_member AND t.program_id = m.program_id
    AND t.id = m.tier_id AND t.maintain_points > 0
$$;

-- Other days of warning: whoever is in a grace is looked at on the next day. Within the change of
-- the program's row.
CREATE OR REPLACE FUNCTION warn_anew(p_program uuid)
RETURNS void LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_tomorrow date := day_of(p_program, program_now(p_program)) + 1;
BEGIN
  UPDATE members SET tier_due = least(tier_due, v_tomorrow)
  WHERE program_id = p_program AND id IN (
    SELECT id FROM members WHERE program_id = p_program AND grace_ends_at IS NOT NULL
    ORDER BY id FOR UPDATE);
END $$;

-- Moves each member to its rank, which ends a grace: history, event, and on the way up what was
-- lost before. The new tier is judged from the next day on: also one that needs nothing, where days
-- have passed since, for a higher one may have been reached on them. Within the members' locks;
-- their tiers are read here, and `p_program` before, so that no member is said to be judged by a
-- ladder that came later.
CREATE OR REPLACE FUNCTION change_tiers(
  p_program programs, p_members uuid[], p_ranks int[], p_reason tier_change_reason, p_day date,
  p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_changed int;
BEGIN
  WITH moves AS MATERIALIZED (
    SELECT m.id, was, comes FROM unnest(p_members, p_ranks) AS move(member_id, rank)
    JOIN members m ON m.program_id = p_program.id AND m.id = move.member_id
    JOIN tiers was ON was.program_id = m.program_id AND was.id = m.tier_id
    JOIN tiers comes ON comes.program_id = m.program_id AND comes.rank = move.rank),
  history AS (
    INSERT INTO tier_changes
      (program_id, member_id, from_rank, to_rank, from_tier, to_tier, reason, day, at)
    SELECT p_program.id, id, (was).rank, (comes).rank, tier_snapshot(was), tier_snapshot(comes),
      p_reason, p_day, p_now FROM moves),
  told AS (
    INSERT INTO events (program_id, type, member_id, data, at)
    SELECT p_program.id,
      CASE WHEN (comes).rank > (was).rank THEN 'tier.upgraded' ELSE 'tier.downgraded' END, id,
      jsonb_build_object('reason', p_reason, 'fromTierId', (was).id, 'fromRank', (was).rank,
        'toTierId', (comes).id, 'toRank', (comes).rank), p_now
    FROM moves)
  UPDATE members m SET tier_id = (comes).id, grace_ends_at = NULL, grace_warned = NULL,
    tier_due = CASE WHEN (comes).maintain_points > 0 OR p_day < day_of(p_program.id, p_now)
      THEN p_day + 1 END,
    ladder_version = p_program.ladder_version
  FROM moves WHERE m.program_id = p_program.id AND m.id = moves.id;
  GET DIAGNOSTICS v_changed = ROW_COUNT;
  IF v_changed <> cardinality(p_members) THEN
    RAISE EXCEPTION 'moved % members instead of %', v_changed, cardinality(p_members)
      USING ERRCODE = 'foreign_key_violation';
  END IF;
  IF p_reason <> 'GRACE_OVER' THEN
    PERFORM regain_ranks(p_program, p_members, p_day, p_now);
  END IF;
END $$;

-- The downgrades that an upgrade has made good, each of them once: those of the last months pay a
-- bonus.
CREATE OR REPLACE FUNCTION regain_ranks(
  p_program programs, p_members uuid[], p_day date, p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_since date := p_day - make_interval(months => p_program.reupgrade_window_months);
  v_lost record;
BEGIN
  FOR v_lost IN
    SELECT c.id, c.member_id, c.day FROM members m
    JOIN tiers t ON t.program_id = m.program_id AND t.id = m.tier_id
    JOIN tier_changes c ON c.program_id = m.program_id AND c.member_id = m.id
    WHERE m.program_id = p_program.id AND m.id = ANY (p_members) AND c.from_rank <= t.rank
      AND c.to_rank < c.from_rank AND c.regained_at IS NULL
    ORDER BY c.id
  LOOP
    UPDATE tier_changes SET regained_at = p_now
    WHERE program_id = p_program.id AND id = v_lost.id;
    IF p_program.reupgrade_bonus > 0 AND v_lost.day >= v_since THEN
      PERFORM earn_bonus(p_program, v_lost.member_id, 'REUPGRADE', v_lost.id::text, p_now);
    END IF;
  END LOOP;
END $$;
