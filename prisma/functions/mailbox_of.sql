-- The mailbox behind a normalised address, for limits and never for ownership: everything after a
-- plus is the reader's own sorting, and Gmail does not see dots. An expression without a subquery,
-- which the planner puts in the place of the call: a claim asks it for each of its items.
CREATE OR REPLACE FUNCTION mailbox_of(p_email text)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN split_part(p_email, '@', -1) IN ('gmail.com', 'googlemail.com')
      THEN replace(unsorted(before_at(p_email)), '.', '') || '@gmail.com'
    ELSE unsorted(before_at(p_email)) || '@' || split_part(p_email, '@', -1) END
$$;

-- What stands before the last @.
CREATE OR REPLACE FUNCTION before_at(p_email text)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT left(p_email, -1 - length(split_part(p_email, '@', -1)))
$$;

-- Without what follows a plus, unless nothing would be left.
CREATE OR REPLACE FUNCTION unsorted(p_name text)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(nullif(split_part(p_name, '+', 1), ''), p_name)
$$;
