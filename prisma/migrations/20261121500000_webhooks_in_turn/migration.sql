-- Endpoints have their turn in the order in which they last had it. Null: not yet.
ALTER TABLE webhooks ADD COLUMN served_at TIMESTAMPTZ(3);
