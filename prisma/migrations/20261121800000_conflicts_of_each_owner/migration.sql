-- A code that was recycled has a new owner, against whom the same other member may match again.
DROP INDEX ownership_conflicts_program_id_code_id_other_id_key;
CREATE UNIQUE INDEX ownership_conflicts_program_id_code_id_owner_id_other_id_key
  ON ownership_conflicts (program_id, code_id, owner_id, other_id);
