-- Waits for as many free codes as there are holders to be given a fresh one, and locks them: a
-- claim that is taking one may roll back. None is of the batch that is withdrawn. It comes before a
-- row of a recipient or a campaign is locked, because a run of a campaign has its codes before it
-- waits for those.
DROP FUNCTION IF EXISTS await_free_codes(uuid, uuid[]);
CREATE OR REPLACE FUNCTION await_free_codes(p_program uuid, p_job revocations, p_codes uuid[])
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_pool record;
BEGIN
  FOR v_pool IN
    SELECT pool_id AS id, count(*) FROM codes
    WHERE program_id = p_program AND id = ANY (p_codes) AND status = 'ALLOCATED'
    GROUP BY pool_id ORDER BY pool_id
  LOOP
    PERFORM id FROM codes
    WHERE program_id = p_program
      AND (pool_id, status) >= (v_pool.id, 'AVAILABLE'::code_status)
      AND (pool_id, status) <= (v_pool.id, 'AVAILABLE'::code_status)
      AND revealed_at IS NULL AND batch_id IS DISTINCT FROM p_job.batch_id
    ORDER BY pool_id, status, id LIMIT v_pool.count FOR UPDATE;
  END LOOP;
END $$;

-- Puts a fresh code of the same pool, whose text nobody was given, in the place of each revoked
-- one: its holder finds it in the wallet, and is handed it by the next claim. Codes that have just
-- gone back to the pool are as good as others. The caller has locked the rows, and has waited for
-- the free ones. Answers how many are missing, and in which pool, where there are too few.
DROP FUNCTION IF EXISTS replace_codes(uuid, uuid, uuid[], timestamptz);
DROP FUNCTION IF EXISTS replace_codes(uuid, revocations, uuid[], timestamptz);
CREATE FUNCTION replace_codes(
  p_program uuid, p_job revocations, p_codes uuid[], p_now timestamptz,
  OUT short_pool_id uuid, OUT missing int)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_pool record;
  v_fresh uuid[];
BEGIN
  FOR v_pool IN
    SELECT pool_id AS id, array_agg(id ORDER BY id) AS codes FROM codes
    WHERE program_id = p_program AND id = ANY (p_codes) GROUP BY pool_id ORDER BY pool_id
  LOOP
    v_fresh := ARRAY(
      SELECT id FROM codes
      WHERE program_id = p_program
        AND (pool_id, status) >= (v_pool.id, 'AVAILABLE'::code_status)
        AND (pool_id, status) <= (v_pool.id, 'AVAILABLE'::code_status)
        AND revealed_at IS NULL AND batch_id IS DISTINCT FROM p_job.batch_id
      ORDER BY pool_id, status, id LIMIT cardinality(v_pool.codes) FOR UPDATE SKIP LOCKED);
    missing := cardinality(v_pool.codes) - cardinality(v_fresh);
    IF missing > 0 THEN
      short_pool_id := v_pool.id;
      RETURN;
    END IF;
    PERFORM put_in_place(p_program, p_job.id, v_pool.codes, v_fresh, p_now);
  END LOOP;
END $$;

-- Each fresh code, in the order of the two lists, becomes what the old one was to its holder. The
-- lists are looked up by position, because a join of two short lists is planned as if they had one
-- row each.
CREATE OR REPLACE FUNCTION put_in_place(
  p_program uuid, p_revocation uuid, p_old uuid[], p_fresh uuid[], p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_given int;
BEGIN
  UPDATE codes f SET status = 'ALLOCATED', allocated_at = p_now, revocation_id = p_revocation,
    (member_id, owner_match, claim_email, claim_key, asked_pool_id, recipient_id) = (
      SELECT o.member_id, o.owner_match, o.claim_email, o.claim_key, o.asked_pool_id,
        o.recipient_id
      FROM codes o
      WHERE o.program_id = p_program AND o.id = p_old[array_position(p_fresh, f.id)])
  WHERE f.program_id = p_program AND f.id = ANY (p_fresh)
    AND f.status = 'AVAILABLE' AND f.revealed_at IS NULL;
  GET DIAGNOSTICS v_given = ROW_COUNT;
  IF v_given <> cardinality(p_fresh) THEN
    RAISE EXCEPTION 'replaced % codes instead of %', v_given, cardinality(p_fresh);
  END IF;

  WITH replaced AS (
    UPDATE codes SET replaced_by_id = p_fresh[array_position(p_old, id)]
    WHERE program_id = p_program AND id = ANY (p_old)
    RETURNING id, pool_id, member_id, replaced_by_id)
  INSERT INTO events (program_id, type, member_id, data, at)
  SELECT p_program, 'code.replaced', member_id, jsonb_build_object(
    'codeId', id, 'poolId', pool_id, 'replacedById', replaced_by_id), p_now
  FROM replaced ORDER BY id;
  UPDATE claims SET code_id = p_fresh[array_position(p_old, code_id)]
  WHERE program_id = p_program AND code_id = ANY (p_old);
  UPDATE campaign_recipients SET code_id = p_fresh[array_position(p_old, code_id)]
  WHERE program_id = p_program AND code_id = ANY (p_old);
END $$;
