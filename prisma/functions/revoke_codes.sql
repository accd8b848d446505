-- One page of a bulk revocation. Redeemed codes are left alone. A code whose text somebody was
-- given is retired, and with replacements its holder gets a fresh one of the same pool, which
-- nobody has seen, in its place of the limit. A code that nobody has seen goes back to its pool,
-- unless the pool is withdrawn without replacements, or with them and the code stands in for one
-- that was seen. Of a batch every code is retired, the free ones too, and none is given to anybody:
-- its holders get codes of the pool's other batches.
--
-- A fresh code is issued like any other: the pool has to be ACTIVE, and within its dates. Where
-- `stopped_by` names a pool it is not (`missing` is null), or has so many codes too few for the
-- holders of this page; the caller then rolls back.
--
-- Locks: with replacements POOL shared, of every pool that it can be about; the revocation's row;
-- code rows in the order of their ids, waited for; the free codes that are given, waited for; then
-- the recipients and the campaigns, behind which nobody waits for a lock of a code.
DROP FUNCTION IF EXISTS revoke_codes(uuid, uuid, int);
CREATE FUNCTION revoke_codes(p_program uuid, p_revocation uuid, p_limit int,
  OUT job revocations, OUT stopped_by uuid, OUT missing int)
LANGUAGE plpgsql VOLATILE
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  v_now timestamptz := program_now(p_program);
  v_job revocations;
  v_page record;
  v_codes uuid[];
  v_unknown uuid[] := '{}';
  v_without uuid[];
  v_revoked uuid[];
  v_held uuid[];
BEGIN
  SELECT * INTO STRICT v_job FROM revocations WHERE program_id = p_program AND id = p_revocation;
  IF v_job.replace THEN
    PERFORM lock_pool_shared(p_program, id)
    FROM (SELECT id FROM pools_to_revoke(p_program, v_job) id ORDER BY id) sorted;
  END IF;
  SELECT * INTO STRICT v_job FROM revocations
  WHERE program_id = p_program AND id = p_revocation FOR NO KEY UPDATE;
  job := v_job;
  IF v_job.finished_at IS NOT NULL THEN
    RETURN;
  END IF;
  SELECT * INTO v_page FROM codes_to_revoke(p_program, v_job, p_limit);
  -- What a code is now is judged once its row is had: it may have got another holder meanwhile.
  v_codes := ARRAY(
    SELECT id FROM codes c WHERE program_id = p_program AND id = ANY (v_page.codes)
      AND (v_job.campaign_id IS NULL OR EXISTS (
        SELECT FROM campaign_recipients r WHERE r.program_id = p_program
          AND r.id = c.recipient_id AND r.campaign_id = v_job.campaign_id))
    ORDER BY id FOR NO KEY UPDATE);
  -- The revocation's row gave this transaction its number, by which its events are read. Where a
  -- later transaction has told something of a code meanwhile, the page is done anew.
  IF EXISTS (SELECT FROM codes c
    WHERE c.program_id = p_program AND c.id = ANY (v_codes) AND began_later(c.xmin)) THEN
    RAISE EXCEPTION 'a code was changed by a later transaction' USING ERRCODE = '40001';
  END IF;

  IF v_job.campaign_id IS NOT NULL OR v_job.replace AND v_job.batch_id IS NULL THEN
    v_unknown := unknown_codes(p_program, v_job, v_codes);
  END IF;
  IF v_job.replace THEN
    stopped_by := closed_pool(p_program, v_job, v_codes);
    IF stopped_by IS NOT NULL THEN
      RETURN;
    END IF;
    PERFORM await_free_codes(p_program, v_job,
      ARRAY(SELECT unnest(v_codes) EXCEPT SELECT unnest(v_unknown)));
  END IF;

  v_without := recycle_codes(p_program, v_unknown, v_now);
  WITH revoked AS (
    UPDATE codes SET status = 'REVOKED', revoked_at = v_now,
      revoke_reason = v_job.reason, reserved_for = NULL, reserved_until = NULL,
      revocation_id = v_job.id
    WHERE program_id = p_program AND id = ANY (v_codes) AND (status = 'ALLOCATED'
      OR status = 'AVAILABLE' AND v_job.campaign_id IS NULL
        AND (v_job.batch_id IS NOT NULL OR NOT v_job.replace))
    RETURNING id, pool_id, member_id, OLD.status AS before),
  told AS (
    INSERT INTO events (program_id, type, member_id, data, at)
    SELECT p_program, 'code.revoked', member_id,
      jsonb_build_object('codeId', id, 'poolId', pool_id), v_now
    FROM revoked ORDER BY id)
  SELECT coalesce(array_agg(id), '{}'),
    coalesce(array_agg(id) FILTER (WHERE before = 'ALLOCATED'), '{}')
  INTO v_revoked, v_held FROM revoked;
  IF v_job.replace THEN
    SELECT * INTO stopped_by, missing FROM replace_codes(p_program, v_job, v_held, v_now);
    IF stopped_by IS NOT NULL THEN
      RETURN;
    END IF;
  END IF;

  UPDATE revocations SET after = v_page.after, revoked = revoked + cardinality(v_revoked),
    recycled = recycled + cardinality(v_unknown),
    replaced = replaced + CASE WHEN replace THEN cardinality(v_held) ELSE 0 END,
    finished_at = CASE WHEN v_page.size < p_limit THEN v_now END
  WHERE program_id = p_program AND id = v_job.id RETURNING * INTO STRICT job;
  PERFORM count_issued(p_program, v_without, -1);
END $$;

-- A pool that does not issue, of those that a page of a revocation is to issue from, or null. Under
-- the pools' locks.
CREATE OR REPLACE FUNCTION closed_pool(p_program uuid, p_job revocations, p_codes uuid[])
RETURNS uuid LANGUAGE sql STABLE AS $$
  SELECT p.id FROM pools p CROSS JOIN program_now(p_program) now
  WHERE p.program_id = p_program
    AND (p.status <> 'ACTIVE' OR now < p.starts_at OR now >= p.ends_at) AND p.id = ANY (ARRAY(
    SELECT id FROM pools_to_revoke(p_program, p_job) id WHERE p_job.campaign_id IS NULL
    UNION SELECT pool_id FROM campaigns WHERE program_id = p_program AND id = p_job.campaign_id
    UNION SELECT pool_id FROM codes WHERE program_id = p_program AND id = ANY (p_codes)))
  ORDER BY p.id LIMIT 1
$$;
