import { z } from 'zod';
import type { Deps } from '../deps.ts';
import { Scope } from '../generated/prisma/enums.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import { badInput } from '../kernel/errors.ts';
import { newId, type ProgramId, type TierId } from '../kernel/ids.ts';
import { parse, text } from '../kernel/input.ts';
import { assertClockRange } from './clock-range.ts';
import { newSecretKey } from './create-secret-key.ts';
import { defaultLadder, type Rung, readLadder } from './ladder.ts';
import { assertMaturesInTime, defaultSettings, readSettings } from './settings.ts';
import type { Program, ProgramInput } from './types.ts';

const CURRENCIES: ReadonlySet<string> = new Set(Intl.supportedValuesOf('currency'));

const schema = z.object({
  name: text(200),
  currency: z
    .string()
    .refine((code) => CURRENCIES.has(code), { error: 'an ISO 4217 currency code such as USD' }),
  timeZone: z.string(),
  sandbox: z.boolean(),
});

/**
 * Locks: none.
 * Refusals: none; BAD_USER_INPUT for what cannot be a program.
 * A retry creates another program: only the operator holds the root key, and sees them all.
 * Events: none.
 */
export async function createProgram(
  deps: Deps,
  { input }: { input: ProgramInput },
): Promise<{ program: Program; secretKey: string }> {
  const { clock, rungs, ...data } = await readProgram(deps, input);
  const id = newId<ProgramId>(deps);
  const createdAt = deps.clock.now();
  const tiers = rungs.map((rung) => ({ ...rung, programId: id, id: newId<TierId>(deps) }));
  const key = newSecretKey(deps, { programId: id, name: null, scopes: Object.values(Scope) });
  const program = await inTransaction(deps, async (tx) => {
    const created = await tx.program.create({ data: { id, createdAt, clock, ...data } });
    await tx.tier.createMany({ data: tiers });
    await tx.secretKey.create({ data: key.row });
    await beginDailyWork(tx, id);
    return created;
  });
  return { program, secretKey: key.text };
}

/** The first day to be worked is the one after today. Nobody but its owner moves a sandbox. */
async function beginDailyWork(tx: Tx, programId: ProgramId): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO program_work (program_id, day, due_at)
    SELECT p.id, today.day + 1, CASE WHEN NOT p.sandbox THEN day_start(p.id, today.day + 1) END
    FROM programs p CROSS JOIN LATERAL (
      SELECT day_of(p.id, program_now(p.id)) AS day) today
    WHERE p.id = ${programId}::uuid`;
}

async function readProgram(deps: Deps, input: ProgramInput) {
  const said = parse(schema, input, 'input');
  const settings = { ...defaultSettings, ...readSettings(input.settings ?? {}, 'input.settings') };
  assertMaturesInTime(settings, 'input.settings');
  const rungs: Rung[] = readLadder(input.tiers ?? defaultLadder, 'input.tiers');
  const clock = readClock(deps, input);
  await assertTimeZone(deps, said.timeZone);
  return { ...said, ...settings, rungs, clock };
}

function readClock(deps: Deps, { sandbox, clock }: ProgramInput): Date | null {
  if (!sandbox && clock) throw badInput('input.clock', 'no clock: only a sandbox has one');
  if (clock) assertClockRange(clock, 'input.clock');
  return sandbox ? (clock ?? deps.clock.now()) : null;
}

/** Both compute with it: what only one of them knows would fail in the middle of a day's work. */
async function assertTimeZone(deps: Deps, timeZone: string): Promise<void> {
  const expected = 'an IANA time zone such as Europe/Berlin';
  try {
    new Intl.DateTimeFormat('en', { timeZone });
  } catch {
    throw badInput('input.timeZone', expected);
  }
  const [row] = await deps.db.$queryRaw<{ known: boolean }[]>`
    SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = ${timeZone}) AS known`;
  if (!row?.known) throw badInput('input.timeZone', expected);
}
