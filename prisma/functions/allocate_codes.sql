-- Binds one AVAILABLE code of a pool to each item, as far as there are any that nobody else is
-- taking. An item without an actor is issued a code whose text nobody is given yet. `p_after` only
-- saves work: the scan starts behind the code that this process took last, so that it does not wade
-- through the dead index entries at the head of the queue; what lies before it is looked at when
-- the rest does not suffice. The caller holds the identity locks and shares the pool's lock.
CREATE OR REPLACE FUNCTION allocate_codes(
  p_program uuid, p_pool uuid, p_items claim_item[], p_after uuid, p_now timestamptz)
RETURNS claim_result[] LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_first constant uuid := '00000000-0000-0000-0000-000000000000';
  v_last constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
  v_wanted int := cardinality(p_items);
  v_free uuid[];
  v_taken int;
BEGIN
  -- Compared as a row, and not column by column: so the order can only be read from the index that
  -- has it. By `id` alone it could be the primary key's, past every code of every other pool.
  v_free := ARRAY(
    SELECT id FROM codes
    WHERE program_id = p_program
      AND (pool_id, status, id) > (p_pool, 'AVAILABLE'::code_status, p_after)
      AND (pool_id, status, id) <= (p_pool, 'AVAILABLE'::code_status, v_last)
    ORDER BY pool_id, status, id LIMIT v_wanted FOR UPDATE SKIP LOCKED);
  IF cardinality(v_free) < v_wanted THEN
    v_free := v_free || ARRAY(
      SELECT id FROM codes
      WHERE program_id = p_program
        AND (pool_id, status, id) >= (p_pool, 'AVAILABLE'::code_status, v_first)
        AND (pool_id, status, id) <= (p_pool, 'AVAILABLE'::code_status, p_after)
      ORDER BY pool_id, status, id
      LIMIT v_wanted - cardinality(v_free) FOR UPDATE SKIP LOCKED);
  END IF;
  IF cardinality(v_free) = 0 THEN
    RETURN '{}';
  END IF;

  UPDATE codes c SET status = 'ALLOCATED', allocated_at = p_now,
    revealed_at = CASE WHEN i.actor IS NOT NULL THEN p_now ELSE c.revealed_at END,
    member_id = i.member_id, owner_match = i.owner_match, claim_email = i.email,
    claim_key = coalesce(i.claim_key, ''), asked_pool_id = nullif(i.asked_pool_id, p_pool),
    recipient_id = i.recipient_id
  FROM unnest(v_free, p_items[1:cardinality(v_free)]) AS i(code_id, ord, asked_pool_id, member_id,
    email, owner_match, claim_key, actor, keys, recipient_id)
  -- Named twice, so that no plan, whatever it believes of the table, begins with other codes.
  WHERE c.program_id = p_program AND c.pool_id = p_pool AND c.status = 'AVAILABLE'
    AND c.id = ANY (v_free) AND c.id = i.code_id;
  GET DIAGNOSTICS v_taken = ROW_COUNT;
  IF v_taken <> cardinality(v_free) THEN
    RAISE EXCEPTION 'allocated % codes instead of %', v_taken, cardinality(v_free);
  END IF;

  -- A fallback pool's code counts in both pools. The lowest free slot; the limit was judged before.
  INSERT INTO claims (program_id, pool_id, claimant, slot, code_id)
  SELECT p_program, pool.id, who.claimant,
    CASE pool.per_member_limit WHEN 1 THEN 1 ELSE (
      SELECT min(s) FROM generate_series(1, pool.per_member_limit) s WHERE NOT EXISTS (
        SELECT FROM claims l WHERE l.program_id = p_program AND l.pool_id = pool.id
          AND l.claimant = who.claimant AND l.slot = s)) END,
    i.code_id
  FROM unnest(v_free, p_items[1:cardinality(v_free)]) AS i(
    code_id, ord, asked_pool_id, member_id, email, owner_match, claim_key, actor, keys)
  JOIN pools pool ON pool.program_id = p_program AND pool.id IN (p_pool, i.asked_pool_id)
  CROSS JOIN LATERAL (SELECT coalesce('member:' || i.member_id, 'mailbox:' || mailbox_of(i.email))
    AS claimant) who;

  INSERT INTO code_reveals (program_id, code_id, kind, actor, at)
  SELECT p_program, i.code_id, 'CLAIM', i.actor, p_now
  FROM unnest(v_free, p_items[1:cardinality(v_free)]) AS i(
    code_id, ord, asked_pool_id, member_id, email, owner_match, claim_key, actor, keys)
  WHERE i.actor IS NOT NULL;

  INSERT INTO events (program_id, type, member_id, data, at)
  SELECT p_program, 'code.claimed', i.member_id, jsonb_strip_nulls(jsonb_build_object(
    'codeId', i.code_id, 'poolId', p_pool, 'askedPoolId', nullif(i.asked_pool_id, p_pool))), p_now
  FROM unnest(v_free, p_items[1:cardinality(v_free)]) AS i(
    code_id, ord, asked_pool_id, member_id, email, owner_match, claim_key, actor, keys);

  RETURN ARRAY(SELECT ROW(i.ord, 'CLAIMED', i.code_id, NULL)::claim_result
    FROM unnest(v_free, p_items[1:cardinality(v_free)]) AS i(
      code_id, ord, asked_pool_id, member_id, email, owner_match, claim_key, actor, keys));
END $$;
