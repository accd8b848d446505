/** Makes the database refuse what a task writes for one member, as a row that is broken would. */
import type { Deps } from '../../src/deps.ts';
import type { WorkerTask } from '../../src/generated/prisma/client.ts';
import { unique } from './factories.ts';
import { sessions } from './sessions.ts';

type What = { table: string; when: string };

/** What each task writes for a member, and nobody else does on such a day. */
export const WRITES: Record<string, (memberId: string) => What> = {
  EXPIRE_POINTS: (id) => ({
    table: 'ledger_entries',
    when: `NEW.kind = 'EXPIRE' AND NEW.member_id = '${id}'`,
  }),
  EVALUATE_TIERS: (id) => ({
    table: 'members',
    when: `NEW.grace_ends_at IS NOT NULL AND NEW.id = '${id}'`,
  }),
  BIRTHDAY_BONUS: (id) => ({
    table: 'ledger_batches',
    when: `NEW.source = 'BIRTHDAY' AND NEW.member_id = '${id}'`,
  }),
  REENGAGEMENT_BONUS: (id) => ({
    table: 'ledger_batches',
    when: `NEW.source = 'REENGAGEMENT' AND NEW.member_id = '${id}'`,
  }),
  RELEASE_RESERVATIONS: (id) => ({
    table: 'codes',
    when: `NEW.reserved_for IS NULL AND NEW.member_id = '${id}'`,
  }),
  TOP_UP_POOLS: (id) => ({
    table: 'codes',
    when: `NEW.status = 'AVAILABLE' AND NEW.member_id = '${id}'`,
  }),
};

/** Undone by what it returns. The refusal quotes a personal value, as the database's own do. */
export async function poison(deps: Deps, of: { task: WorkerTask; memberId: string }) {
  const { table, when } = (WRITES[of.task] as (typeof WRITES)[string])(of.memberId);
  const body = `RAISE EXCEPTION 'poisoned: ada@example.com' USING ERRCODE = 'check_violation';`;
  return trigger(deps, { table, when, body });
}

/** Every row that the task writes takes so long, in any program. */
export function slow(deps: Deps, of: { task: WorkerTask; milliseconds: number }) {
  const { table, when } = (WRITES[of.task] as (typeof WRITES)[string])('');
  const any = when.replace(/ AND NEW.(member_)?id = ''/, '');
  const body = `PERFORM pg_sleep(${of.milliseconds / 1_000}); RETURN NEW;`;
  return trigger(deps, { table, when: any, body });
}

async function trigger(deps: Deps, { table, when, body }: What & { body: string }) {
  const [session] = await sessions(deps.config.databaseUrl, 1);
  if (!session) throw new Error('no session');
  const name = unique('poison').replace('-', '_');
  await session.query(`
    CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} END $$`);
  await session.query(`
    CREATE TRIGGER ${name} BEFORE INSERT OR UPDATE ON ${table} FOR EACH ROW
    WHEN (${when}) EXECUTE FUNCTION ${name}()`);
  return async () => {
    await session.query('SET lock_timeout = 0'); // whoever was killed may not have ended yet
    await session.query(`DROP FUNCTION ${name} CASCADE`);
    await session.close();
  };
}
