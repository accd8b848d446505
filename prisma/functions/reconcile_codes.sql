-- The census of a program's codes: every code that was made is there, in the state that its
-- redemptions and claims say; and of its campaigns, whose counts are what their recipients say.
CREATE OR REPLACE FUNCTION reconcile_codes(p_program uuid)
RETURNS TABLE (invariant text, subject text, expected numeric, actual numeric)
LANGUAGE sql STABLE AS $$
  WITH made AS (
    SELECT b.id, b.count, count(c.id) AS there FROM code_batches b
    LEFT JOIN codes c ON c.program_id = b.program_id AND c.batch_id = b.id
    WHERE b.program_id = p_program GROUP BY b.id, b.count),
  live AS (
    SELECT code_id, count(*) AS count FROM redemptions
    WHERE program_id = p_program AND voided_at IS NULL GROUP BY code_id),
  claimed AS (
    SELECT code_id, count(*) AS count FROM claims WHERE program_id = p_program GROUP BY code_id),
  named AS (
    SELECT campaign_id, count(*) AS count, count(code_id) AS issued FROM campaign_recipients
    WHERE program_id = p_program GROUP BY campaign_id),
  mixed AS (
    SELECT order_id, count(*) AS count FROM redemptions
    WHERE program_id = p_program AND voided_at IS NULL
    GROUP BY order_id HAVING count(*) > 1 AND NOT bool_and(stackable))
  SELECT 'batch.count = its codes', id::text, count::numeric, there::numeric
    FROM made WHERE count <> there
  UNION ALL SELECT 'a REDEEMED code has one live redemption, any other none', c.id::text,
    (c.status = 'REDEEMED')::int, coalesce(l.count, 0)
    FROM codes c LEFT JOIN live l ON l.code_id = c.id
    WHERE c.program_id = p_program AND (c.status = 'REDEEMED')::int <> coalesce(l.count, 0)
  UNION ALL SELECT 'a claimed code counts in its pool, and in the one that was asked', c.id::text,
    places.count, coalesce(k.count, 0)
    FROM codes c LEFT JOIN claimed k ON k.code_id = c.id
    CROSS JOIN LATERAL (SELECT CASE
      WHEN c.allocated_at IS NULL OR c.replaced_by_id IS NOT NULL THEN 0
      WHEN c.asked_pool_id IS NULL THEN 1 ELSE 2 END AS count) places
    WHERE c.program_id = p_program AND coalesce(k.count, 0) <> places.count
  UNION ALL SELECT 'the code of a recipient is somebody''s', r.id::text, 1, 0
    FROM campaign_recipients r JOIN codes c ON c.program_id = p_program AND c.id = r.code_id
    WHERE r.program_id = p_program AND c.status = 'AVAILABLE'
  UNION ALL SELECT 'campaign.recipients = its recipients', c.id::text, c.recipients,
    coalesce(n.count, 0)
    FROM campaigns c LEFT JOIN named n ON n.campaign_id = c.id
    WHERE c.program_id = p_program AND c.recipients <> coalesce(n.count, 0)
  UNION ALL SELECT 'campaign.issued = its recipients with a code', c.id::text, c.issued,
    coalesce(n.issued, 0)
    FROM campaigns c LEFT JOIN named n ON n.campaign_id = c.id
    WHERE c.program_id = p_program AND c.issued <> coalesce(n.issued, 0)
  UNION ALL SELECT 'codes of an unsealed job are AVAILABLE', c.id::text, 0, 1
    FROM code_jobs j
    JOIN code_batches b ON b.program_id = p_program AND b.job_id = j.id
    JOIN codes c ON c.program_id = p_program AND c.batch_id = b.id
    WHERE j.program_id = p_program AND j.status <> 'SEALED' AND c.status <> 'AVAILABLE'
  UNION ALL SELECT 'an order takes one code, or stackable ones', order_id, 1, count FROM mixed
$$;
