-- Other days of warning concern whoever is in a grace, and nobody else is to be looked at.
CREATE INDEX members_in_grace ON members (program_id, id) WHERE grace_ends_at IS NOT NULL;
