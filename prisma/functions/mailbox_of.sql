-- The mailbox behind a normalised address, for limits and never for ownership: everything after a
-- plus is the reader's own sorting, and Gmail does not see dots.
CREATE OR REPLACE FUNCTION mailbox_of(p_email text)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN domain IN ('gmail.com', 'googlemail.com') THEN replace(name, '.', '') || '@gmail.com'
    ELSE name || '@' || domain END
  FROM (SELECT coalesce(nullif(split_part(local, '+', 1), ''), local) AS name, domain
    FROM (SELECT left(p_email, length(p_email) - length(split_part(p_email, '@', -1)) - 1) AS local,
      split_part(p_email, '@', -1) AS domain) parts) cut
$$;
