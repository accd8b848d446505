-- One line of the journal, and the member's outstanding points with it. Within the member's lock.
CREATE OR REPLACE FUNCTION write_entry(
  p_program uuid, p_member uuid, p_kind ledger_entry_kind, p_points bigint, p_batch uuid,
  p_now timestamptz)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_balance bigint;
BEGIN
  UPDATE members SET outstanding = outstanding + p_points
  WHERE program_id = p_program AND id = p_member RETURNING outstanding INTO STRICT v_balance;
  INSERT INTO ledger_entries (program_id, member_id, kind, points, balance_after, batch_id, at)
  VALUES (p_program, p_member, p_kind, p_points, v_balance, p_batch, p_now);
END $$;

-- A fact for the outbox. `p_data` holds ids and numbers, nothing personal and no code.
CREATE OR REPLACE FUNCTION append_event(
  p_program uuid, p_type text, p_member uuid, p_data jsonb, p_now timestamptz)
RETURNS void LANGUAGE sql VOLATILE AS $$
  INSERT INTO events (program_id, type, member_id, data, at)
  VALUES (p_program, p_type, p_member, p_data, p_now)
$$;
