-- Who each claimant of a batch is now: a recipient is whom its campaign names; an address that a
-- member has verified is that member (the oldest, where several did); an unverified one identifies
-- nobody, but is locked all the same, because it may be being verified at this moment. A recipient
-- needs no lock of its own: whom it names never changes, so its member or its address says it all.
-- It is one of the pool that its campaign is for alone.
CREATE OR REPLACE FUNCTION claimants_of(p_program uuid, p_items jsonb)
RETURNS claim_item[] LANGUAGE sql STABLE AS $$
  SELECT array_agg(ROW(i.ord, i.pool_id, m.id, who.email,
    CASE WHEN m.id IS NULL THEN NULL WHEN i.member_id IS NOT NULL THEN 1
      WHEN i.recipient_id IS NOT NULL THEN 2 ELSE 3 END,
    i.claim_key, i.actor,
    array_remove(ARRAY['member:' || m.id,
      'email:' || who.email, 'mailbox:' || mailbox_of(who.email),
      'email:' || nullif(m.email, who.email),
      'mailbox:' || mailbox_of(nullif(m.email, who.email))], NULL),
    i.recipient_id)::claim_item ORDER BY i.ord)
  FROM jsonb_to_recordset(p_items) AS i(ord int, pool_id uuid, member_id uuid, email text,
    recipient_id uuid, claim_key text, actor text)
  LEFT JOIN LATERAL (SELECT r.member_id, r.email FROM campaign_recipients r
    JOIN campaigns c ON c.program_id = p_program AND c.id = r.campaign_id
      AND c.pool_id = i.pool_id
    WHERE r.program_id = p_program AND r.id = i.recipient_id LIMIT 1) r ON true
  CROSS JOIN LATERAL (
    SELECT coalesce(i.member_id, r.member_id) AS member_id, coalesce(i.email, r.email) AS email) who
  LEFT JOIN LATERAL (
    SELECT id, email, created_at FROM members
    WHERE program_id = p_program AND id = who.member_id
    UNION ALL
    SELECT id, email, created_at FROM members
    WHERE program_id = p_program AND email = who.email AND email_verified
    ORDER BY created_at, id LIMIT 1) m ON true
$$;
