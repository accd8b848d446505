-- The program's clock: the only answer to "what time is it" in the domain. A sandbox stands still.
CREATE OR REPLACE FUNCTION program_now(p_program uuid)
RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT coalesce(clock, date_trunc('milliseconds', clock_timestamp()))
  FROM programs WHERE id = p_program
$$;
