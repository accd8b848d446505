-- The program's days. Computed here and nowhere else: Node and PostgreSQL know different midnights
-- where clocks change.

CREATE OR REPLACE FUNCTION day_of(p_program uuid, p_at timestamptz)
RETURNS date LANGUAGE sql STABLE AS $$
  SELECT (p_at AT TIME ZONE time_zone)::date FROM programs WHERE id = p_program
$$;

-- The first instant that has this local date, or a later one: a place that crosses the date line
-- passes over a whole date. Where clocks go back over midnight the date begins twice, and
-- PostgreSQL names the later beginning: the quarters of an hour before it are tried too.
CREATE OR REPLACE FUNCTION day_start(p_program uuid, p_day date)
RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT min(at) FROM programs p
  CROSS JOIN LATERAL (SELECT (p_day::timestamp AT TIME ZONE p.time_zone) AS named) n
  CROSS JOIN LATERAL (
    SELECT n.named - quarter * interval '15 minutes' AS at FROM generate_series(0, 8) quarter) c
  WHERE p.id = p_program AND (c.at AT TIME ZONE p.time_zone)::date >= p_day
$$;
