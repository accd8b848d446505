import { appendFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, expect, test } from 'vitest';
import { drift, migrate } from '../../src/kernel/migrate.ts';
import { advanceClock } from '../../src/workers/index.ts';
import { emptyDatabase, testDatabase, testDeps } from '../support/database.ts';
import { aMember, aProgram } from '../support/factories.ts';

const scratch = await mkdtemp(path.join(os.tmpdir(), 'flash-migrate-'));
afterAll(() => rm(scratch, { recursive: true, force: true }));

async function copyOfPrisma(name: string): Promise<string> {
  const folder = path.join(scratch, name);
  await cp('prisma', folder, { recursive: true });
  return folder;
}

async function query(databaseUrl: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

test('a database that is up to date is left alone', async () => {
  const url = await emptyDatabase();
  const first = await migrate(url);
  expect(first.length).toBeGreaterThan(1);
  expect(await migrate(url)).toEqual([]);
});

test('several at once on an empty database: each migration is applied by one of them', async () => {
  const url = await emptyDatabase();
  const applied = await Promise.all([migrate(url), migrate(url), migrate(url)]);
  const migrations = applied.flat();
  expect(new Set(migrations).size).toBe(migrations.length);
  expect(migrations.length).toBeGreaterThan(1);
});

test('the migrations make what schema.prisma says', async () => {
  expect(await drift(await testDatabase())).toBeUndefined();
});

test('a member who was there before there were tiers is judged by the next day', async () => {
  const deps = await testDeps();
  const { programId } = await aProgram(deps, { clock: new Date('2021-01-01T08:00:00Z') });
  const { id } = await aMember(deps, { programId });
  // As the migration that brought tiers has left a member with points of before.
  await query(
    deps.config.databaseUrl,
    `SET session_replication_role = replica;
     INSERT INTO ledger_batches (program_id, id, member_id, source, order_id, generation, amount,
       requested, points, remaining, day, earned_at, matures_at, created_at)
     SELECT program_id, uuidv7(), id, 'SHOPIFY', 'old', 1, 100, 5000, 5000, 5000,
       created_at::date, created_at, created_at, created_at FROM members`,
  );
  const ofBefore = 'prisma/migrations/20261121640000_tiers_of_before/migration.sql';
  await query(deps.config.databaseUrl, await readFile(ofBefore, 'utf8'));
  await advanceClock(deps, { programId, to: new Date('2021-01-02T08:00:00Z') });
  const member = await deps.db.member.findFirstOrThrow({ where: { id }, include: { tier: true } });
  expect(member.tier.name).toBe('Gold');
});

test('a schema that the migrations do not make is a drift, and no shadow database is left', async () => {
  const url = await testDatabase();
  const folder = await copyOfPrisma('drift');
  await appendFile(path.join(folder, 'schema.prisma'), '\nmodel Ghost {\n  id Int @id\n}\n');
  expect(await drift(url, { folder })).toContain('CREATE TABLE "Ghost"');
  const left = await query(
    url,
    "SELECT 1 FROM pg_database WHERE starts_with(datname, 'flash_shadow')",
  );
  expect(left).toEqual([]);
});

test('a migration that was edited after it had been applied is refused by name', async () => {
  const url = await emptyDatabase();
  const folder = await copyOfPrisma('edited');
  const name = '99990101000000_extra';
  const file = path.join(folder, 'migrations', name, 'migration.sql');
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, 'CREATE TABLE extra (id int PRIMARY KEY);\n');
  await migrate(url, { folder });
  await appendFile(file, '-- another thought\n');
  await expect(migrate(url, { folder })).rejects.toThrow(
    `edited after they had been applied: ${name}`,
  );
});

test('a database that is ahead of the checkout is refused', async () => {
  const url = await emptyDatabase();
  const folder = await copyOfPrisma('ahead');
  const migration = path.join(folder, 'migrations', '99990101000000_later');
  await mkdir(migration, { recursive: true });
  await writeFile(path.join(migration, 'migration.sql'), 'SELECT 1;\n');
  await migrate(url, { folder });
  await expect(migrate(url)).rejects.toThrow('migrations that are not in this checkout');
});

test('a migration that fails leaves nothing of itself, and is refused until it is resolved', async () => {
  const url = await emptyDatabase();
  const folder = await copyOfPrisma('failing');
  const migration = path.join(folder, 'migrations', '99990101000000_failing');
  await mkdir(migration, { recursive: true });
  const sql = 'CREATE TABLE half (id int);\nSELECT 1 / 0;\n';
  await writeFile(path.join(migration, 'migration.sql'), sql);
  await expect(migrate(url, { folder })).rejects.toThrow('division by zero');
  expect(await query(url, "SELECT to_regclass('half') AS t")).toEqual([{ t: null }]);
  await expect(migrate(url, { folder })).rejects.toThrow('must be resolved by hand');
});

test('only functions whose text has changed are installed again, all of them or none', async () => {
  const url = await emptyDatabase();
  const folder = await copyOfPrisma('functions');
  const body = (answer: number) =>
    `CREATE OR REPLACE FUNCTION probe() RETURNS int LANGUAGE sql AS $$ SELECT ${answer} $$;\n`;
  const file = path.join(folder, 'functions', 'probe.sql');
  await writeFile(file, body(1));
  await migrate(url, { folder });
  await writeFile(file, body(2));
  expect(await migrate(url, { folder })).toEqual(['functions/probe.sql']);
  await writeFile(file, body(3));
  await writeFile(path.join(folder, 'functions', 'wrong.sql'), 'CREATE FUNCTION;\n');
  await expect(migrate(url, { folder })).rejects.toThrow('prisma/functions/wrong.sql');
  expect(await query(url, 'SELECT probe() AS answer')).toEqual([{ answer: 2 }]);
});

test('a server that is down is named as the reason', async () => {
  await expect(migrate('postgresql://nobody:secret@127.0.0.1:1/flash')).rejects.toThrow(
    'could not be migrated: connect ECONNREFUSED 127.0.0.1:1',
  );
});
