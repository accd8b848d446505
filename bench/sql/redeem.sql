-- One redemption in one transaction, as somebody would write it by hand who knows PostgreSQL.
--
-- In it: the same tables with the same constraints and triggers (one of which locks the order and
-- looks for a code that stands alone), a lock on the order, the compare-and-swap by the code's
-- look-up hash, the redemption with a discount that is known beforehand, the event, and a durable
-- commit.
-- Not in it, though the engine does it: HTTP, GraphQL, authorisation, the HMAC of the code, whose
-- it is, reservations, the pool's dates and minimum, the discount, what the order was given before.
--
-- Codes are numbered, each client taking every sixteenth: nobody redeems one twice.
\set i :i + 1
\set n :first + :i * 16 + :client_id
BEGIN;
SELECT pg_advisory_xact_lock(hashtextextended('order:' || :n, 0));
UPDATE codes SET status = 'REDEEMED', redeemed_at = now(), reserved_for = NULL,
    reserved_until = NULL
  WHERE program_id = :program AND status = 'ALLOCATED'
    AND lookup_hash = sha256(convert_to(:space || :n, 'UTF8'))
    AND (reserved_until IS NULL OR reserved_until <= now())
  RETURNING id AS code, pool_id AS pool, member_id AS member \gset
INSERT INTO redemptions (program_id, id, code_id, order_id, order_amount, discount_amount,
    stackable, redeemed_at)
  VALUES (:program, uuidv7(), :code, 'bare-' || :n, 5000, 500, false, now())
  RETURNING id AS redemption \gset
INSERT INTO events (program_id, type, member_id, data, at)
  VALUES (:program, 'code.redeemed', :member,
    jsonb_build_object('codeId', :code::uuid, 'poolId', :pool::uuid, 'redemptionId',
      :redemption::uuid, 'orderAmount', 5000, 'discountAmount', 500), now());
COMMIT;
