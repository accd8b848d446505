-- Tells the queue of the fleet, in the transaction of the change, that there is something to do. A
-- wake-up that waits already is not doubled. Where no worker was ever started there is no queue
-- yet: the first one looks for itself.
CREATE OR REPLACE FUNCTION wake_fleet(
  p_program uuid, p_task text, p_id uuid, p_at timestamptz DEFAULT NULL)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF to_regproc('graphile_worker.add_job') IS NOT NULL THEN
    PERFORM graphile_worker.add_job(p_task, json_build_object('programId', p_program, 'id', p_id),
      run_at := p_at, job_key := p_task || ':' || p_id);
  END IF;
END $$;
