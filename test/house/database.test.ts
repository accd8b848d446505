import { beforeAll, expect, test } from 'vitest';
import { openDb } from '../../src/kernel/db.ts';
import { testDatabase } from '../support/database.ts';

/** The named exceptions: tenants themselves, the migrations' own tables. */
const NOT_OF_A_PROGRAM = ['programs', 'installed_functions', '_prisma_migrations'];

let db: ReturnType<typeof openDb>;
beforeAll(async () => {
  db = openDb(await testDatabase());
  return () => db.$disconnect();
});

test('every primary key and index of a program’s table starts with the program', async () => {
  const rows = await db.$queryRaw<{ index: string; first: string }[]>`
    SELECT i.relname::text AS index, a.attname::text AS first
    FROM pg_index x
    JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_class t ON t.oid = x.indrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
    WHERE n.nspname = 'public' AND t.relname <> ALL (${NOT_OF_A_PROGRAM}::text[])`;
  expect(rows.length).toBeGreaterThan(20);
  expect(rows.filter(({ first }) => first !== 'program_id')).toEqual([]);
});

test('every foreign key between a program’s tables starts with the program', async () => {
  const rows = await db.$queryRaw<{ name: string; first: string; to: string }[]>`
    SELECT c.conname::text AS name, a.attname::text AS first, c.confrelid::regclass::text AS to
    FROM pg_constraint c
    JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace`;
  expect(rows.length).toBeGreaterThan(10);
  expect(rows.filter(({ first }) => first !== 'program_id')).toEqual([]);
});

test('every function that takes a lock has the program as its first argument', async () => {
  const rows = await db.$queryRaw<{ name: string; arguments: string }[]>`
    SELECT proname::text AS name, pg_get_function_identity_arguments(oid) AS arguments
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace
      AND proname ~ '^(lock_|try_lock_)|_codes$'`;
  expect(rows.length).toBeGreaterThan(10);
  const other = rows.filter((row) => !row.arguments.startsWith('p_program uuid'));
  expect(other.map(({ name }) => name).filter((name) => !name.startsWith('refuse_'))).toEqual([]);
});

test('points and money are whole numbers: no column is a floating-point one', async () => {
  const rows = await db.$queryRaw<{ column: string }[]>`
    SELECT table_name || '.' || column_name AS column FROM information_schema.columns
    WHERE table_schema = 'public' AND data_type IN ('real', 'double precision')`;
  expect(rows).toEqual([]);
});

test('every instant is kept with its zone and to the millisecond that JavaScript can hold', async () => {
  const rows = await db.$queryRaw<{ column: string }[]>`
    SELECT table_name || '.' || column_name AS column FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name <> '_prisma_migrations'
      AND (data_type = 'timestamp without time zone'
        OR (data_type = 'timestamp with time zone' AND datetime_precision <> 3))`;
  expect(rows).toEqual([]);
});
