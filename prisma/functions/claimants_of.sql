-- Who each claimant of a batch is now: a guest whose address a member has verified is that member
-- (the oldest, where several did), and an unverified address identifies nobody, but is locked all
-- the same, because it may be being verified at this moment.
CREATE OR REPLACE FUNCTION claimants_of(p_program uuid, p_items jsonb)
RETURNS claim_item[] LANGUAGE sql STABLE AS $$
  SELECT array_agg(ROW(i.ord, i.pool_id, m.id, i.email,
    CASE WHEN i.member_id IS NOT NULL THEN 1 WHEN m.id IS NOT NULL THEN 3 END,
    i.claim_key, i.actor,
    array_remove(ARRAY['member:' || m.id,
      'email:' || i.email, 'mailbox:' || mailbox_of(i.email),
      'email:' || nullif(m.email, i.email), 'mailbox:' || mailbox_of(m.email)], NULL)
    )::claim_item ORDER BY i.ord)
  FROM jsonb_to_recordset(p_items)
    AS i(ord int, pool_id uuid, member_id uuid, email text, claim_key text, actor text)
  LEFT JOIN LATERAL (
    SELECT id, email, created_at FROM members
    WHERE program_id = p_program AND id = i.member_id
    UNION ALL
    SELECT id, email, created_at FROM members
    WHERE program_id = p_program AND email = i.email AND email_verified
    ORDER BY created_at, id LIMIT 1) m ON true
$$;
