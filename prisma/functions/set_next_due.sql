-- When the fleet is to come to a program again: the next midnight of a live one, or the next
-- attempt for somebody who failed (webhooks aside: whoever watches for them tries them again). The
-- row is locked by a statement of its own: the next one then sees a failure that was recorded
-- meanwhile, by whoever has just put `due_at` forward for it.
CREATE OR REPLACE FUNCTION set_next_due(p_program uuid)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  PERFORM FROM program_work WHERE program_id = p_program FOR UPDATE;
  UPDATE program_work w SET due_at = least(
    (SELECT day_start(p.id, w.day) FROM programs p WHERE p.id = w.program_id AND NOT p.sandbox),
    (SELECT min(f.next_attempt_at) FROM worker_failures f
      WHERE f.program_id = w.program_id AND f.resolved_at IS NULL
        AND f.task <> 'DELIVER_WEBHOOKS'))
  WHERE w.program_id = p_program;
END $$;
