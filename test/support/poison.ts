/** Makes the database refuse every write to one row, as a row that is broken would. */
import type { Deps } from '../../src/deps.ts';
import { unique } from './factories.ts';
import { sessions } from './sessions.ts';

export type Poison = { table: string; column: string; id: string };

/** Undone by what it returns. The refusal quotes a personal value, as the database's own do. */
export async function poison(deps: Deps, { table, column, id }: Poison) {
  const [session] = await sessions(deps.config.databaseUrl, 1);
  if (!session) throw new Error('no session');
  const name = unique('poison').replace('-', '_');
  await session.query(`
    CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'poisoned: ada@example.com' USING ERRCODE = 'check_violation'; END $$`);
  await session.query(`
    CREATE TRIGGER ${name} BEFORE INSERT OR UPDATE ON ${table} FOR EACH ROW
    WHEN (NEW.${column} = '${id}') EXECUTE FUNCTION ${name}()`);
  return async () => {
    await session.query(`DROP FUNCTION ${name} CASCADE`);
    await session.close();
  };
}
