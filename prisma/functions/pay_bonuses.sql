-- Members whose birthday is on this day and who have had no bonus for it this year: of those who
-- were there when it began. Somebody born on 29 February celebrates on the 28th in the years
-- between. A bonus of 0 is none. OFFSET 0, here and below, keeps the question one for each member:
-- as a join it reads every bonus there ever was.
CREATE OR REPLACE FUNCTION birthdays_due(p_program uuid, p_day date)
RETURNS TABLE (member_id uuid, occasion text) LANGUAGE sql STABLE AS $$
  SELECT m.id, to_char(p_day, 'YYYY') FROM members m
  WHERE m.program_id = p_program
    AND (SELECT birthday_bonus FROM programs WHERE id = p_program) > 0
    AND extract(month FROM m.birthday) * 100 + extract(day FROM m.birthday) = ANY (ARRAY[
      to_char(p_day, 'MMDD')::numeric,
      CASE WHEN to_char(p_day, 'MMDD') = '0228' AND to_char(p_day + 1, 'MMDD') <> '0229'
        THEN 229 END])
    AND m.created_at <= (SELECT day_start(p_program, p_day))
    AND NOT EXISTS (
      SELECT FROM ledger_batches l WHERE l.program_id = p_program AND l.member_id = m.id
        AND l.source = 'BIRTHDAY' AND l.occasion = to_char(p_day, 'YYYY') OFFSET 0)
$$;

-- Members whose latest purchase lies exactly so many days before this one, and who have had no
-- bonus for that spell: it is known by the day of the purchase. What was bought, or became known,
-- after the start of this day changes nothing, so that it does not matter how late the day is
-- worked.
CREATE OR REPLACE FUNCTION returns_due(p_program uuid, p_day date)
RETURNS TABLE (member_id uuid, occasion text) LANGUAGE sql STABLE AS $$
  SELECT DISTINCT l.member_id, l.day::text FROM ledger_batches l
  WHERE l.program_id = p_program AND l.order_id IS NOT NULL
    AND (SELECT reengagement_bonus FROM programs WHERE id = p_program) > 0
    AND l.day = p_day - (SELECT inactive_days FROM programs WHERE id = p_program)
    AND l.created_at <= (SELECT day_start(p_program, p_day))
    AND NOT EXISTS (
      SELECT FROM ledger_batches later WHERE later.program_id = p_program
        AND later.member_id = l.member_id AND later.day > l.day AND later.order_id IS NOT NULL
        AND later.created_at <= (SELECT day_start(p_program, p_day)) OFFSET 0)
    AND NOT EXISTS (
      SELECT FROM ledger_batches had WHERE had.program_id = p_program
        AND had.member_id = l.member_id AND had.source = 'REENGAGEMENT'
        AND had.occasion = l.day::text OFFSET 0)
$$;

-- Pays these members what the day brings them, and judges their tiers as every award does; on a day
-- that was missed the evaluations of the days behind it see to that, each as of its own. Answers
-- how many were paid: none the second time.
--
-- Locks: MEMBER of each, waited for in their order.
CREATE OR REPLACE FUNCTION pay_bonuses(
  p_program uuid, p_source points_source, p_day date, p_members uuid[])
RETURNS int LANGUAGE plpgsql VOLATILE SET enable_seqscan = off AS $$
DECLARE
  v_program programs;
  v_now timestamptz;
  v_today date;
  v_due record;
  v_paid int := 0;
BEGIN
  PERFORM lock_members(p_program, p_members);
  SELECT * INTO STRICT v_program FROM programs WHERE id = p_program;
  v_now := program_now(p_program);
  v_today := day_of(p_program, v_now);
  FOR v_due IN
    SELECT * FROM birthdays_due(p_program, p_day)
    WHERE p_source = 'BIRTHDAY' AND member_id = ANY (p_members)
    UNION ALL
    SELECT * FROM returns_due(p_program, p_day)
    WHERE p_source = 'REENGAGEMENT' AND member_id = ANY (p_members)
  LOOP
    PERFORM earn_bonus(v_program, v_due.member_id, p_source, v_due.occasion, v_now);
    IF p_day >= v_today THEN
      PERFORM raise_tier(v_program, v_due.member_id, v_now);
    END IF;
    v_paid := v_paid + 1;
  END LOOP;
  RETURN v_paid;
END $$;

-- One bonus lot. It pays debt like all that comes in, and counts for no tier. Within the member's
-- lock; its occasion is unique, so that a second one would fail and not be paid.
CREATE OR REPLACE FUNCTION earn_bonus(
  p_program programs, p_member uuid, p_source points_source, p_occasion text, p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_lot ledger_batches;
BEGIN
  v_lot.id := uuidv7();
  v_lot.member_id := p_member;
  v_lot.source := p_source;
  v_lot.occasion := p_occasion;
  v_lot.generation := 1;
  v_lot.points := CASE p_source WHEN 'BIRTHDAY' THEN p_program.birthday_bonus
    WHEN 'REENGAGEMENT' THEN p_program.reengagement_bonus
    WHEN 'REUPGRADE' THEN p_program.reupgrade_bonus END;
  v_lot.requested := v_lot.points;
  v_lot.earned_at := p_now;
  PERFORM earn_points(p_program, v_lot, p_now);
END $$;
