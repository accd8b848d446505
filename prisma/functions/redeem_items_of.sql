-- The items of a batch of redemptions with the codes that their look-up hashes name, if any. To a
-- member's token a code that is not its own is not there: nothing is locked or waited for, so that
-- neither the answer nor its time tells whether the owner is about to redeem it.
CREATE OR REPLACE FUNCTION redeem_items_of(p_program uuid, p_items jsonb)
RETURNS redeem_item[] LANGUAGE sql STABLE AS $$
  SELECT array_agg(ROW(i.ord, c.id, i.order_id, i.order_amount, i.caller_id, i.owner_id,
    i.redemption_id, NULL)::redeem_item ORDER BY i.ord)
  FROM jsonb_to_recordset(p_items) AS i(ord int, hashes text[], order_id text,
    order_amount bigint, caller_id uuid, owner_id uuid, redemption_id uuid)
  LEFT JOIN LATERAL (
    -- Code by code: before the table is analysed, a join reads every code of the program instead.
    SELECT found.id FROM unnest(i.hashes) hash
    CROSS JOIN LATERAL (SELECT id, member_id FROM codes
      WHERE program_id = p_program AND lookup_hash = decode(hash, 'hex') LIMIT 1) found
    WHERE i.caller_id IS NULL OR found.member_id = i.caller_id
    LIMIT 1) c ON true
$$;
