/** The daily work of a program: a year and a half of a real shop, and the sweep by itself. */
import { daysBetween, type Purchase, readPurchases } from '../../examples/demo/cdnow.ts';
import type { MemberId, ProgramId } from '../../src/kernel/ids.ts';
import { awardPoints } from '../../src/loyalty/index.ts';
import { createProgram, advanceClock as moveClock } from '../../src/programs/index.ts';
import { advanceClock, reconcile, runWorker } from '../../src/workers/index.ts';
import type { Result } from '../report.ts';
import { alternate, latencies, medianRate, type Round } from '../rounds.ts';
import { haveMembers, memberId, SPACES, settle, tidy, tidyLedger } from '../seed.ts';
import { giveLots } from '../seed-points.ts';
import type { World } from '../world.ts';
import { distinctClaims } from './claim.ts';
import { compared, type Line } from './line.ts';

// Everything that a day can bring: bonuses, tiers that are reached and lost, points that end.
const SETTINGS = {
  baseRate: '10',
  birthdayBonus: 50,
  reengagementBonus: 25,
  reupgradeBonus: 100,
  expiryMonths: 12,
};
const MOST_SECONDS = 60;
const AT_ONCE = 100;

const noon = (day: string) => new Date(`${day}T12:00:00Z`);

async function sandbox({ deps }: World, name: string, clock: Date): Promise<ProgramId> {
  const input = { name, currency: 'USD', timeZone: 'UTC', sandbox: true, clock };
  const { program } = await createProgram(deps, { input: { ...input, settings: SETTINGS } });
  return program.id as ProgramId;
}

type Shop = { programId: ProgramId; members: ReadonlyMap<string, MemberId> };

/** Members by the shop's own numbers, each with a birthday. */
async function furnish(world: World, purchases: readonly Purchase[]): Promise<Shop> {
  const programId = await sandbox(world, 'CDNOW', noon(purchases[0]?.date as string));
  const numbers = [...new Set(purchases.map(({ customer }) => customer))];
  await haveMembers({ ...world, programId }, { first: SPACES.days, count: numbers.length });
  await world.sql.query(
    `UPDATE members SET birthday = date '1970-01-01' + (hashtext(id::text) & 32767) % 365
     WHERE program_id = $1`,
    [programId],
  );
  const members = new Map(numbers.map((one, n) => [one, memberId(SPACES.days + n) as MemberId]));
  return { programId, members };
}

async function buy({ deps }: World, { programId, members }: Shop, bought: readonly Purchase[]) {
  for (let done = 0; done < bought.length; done += AT_ONCE)
    await Promise.all(
      bought.slice(done, done + AT_ONCE).map(async ({ customer, orderId, cents }) => {
        const memberId = members.get(customer) as MemberId;
        const purchase = { source: 'SHOPIFY', orderId, generation: 1, amount: cents };
        const awarded = await awardPoints(deps, { programId, memberId, ...purchase });
        if (!awarded.ok) throw new Error(awarded.reason);
      }),
    );
}

function perDay(purchases: readonly Purchase[]): Map<string, Purchase[]> {
  const days = new Map<string, Purchase[]>();
  for (const one of purchases) days.set(one.date, [...(days.get(one.date) ?? []), one]);
  return days;
}

export const days: Line = {
  name: 'days',
  about: 'the daily work of 546 days of a shop with 23,544 members, beside its purchases',
  run: async (world) => {
    const purchases = await readPurchases();
    const bought = perDay(purchases);
    const dates = [...bought.keys()].sort();
    const all = daysBetween(dates[0] as string, dates.at(-1) as string);
    const shop = await furnish(world, purchases);
    await settle(world);
    const bar = world.progress('days', all.length);
    const times: number[] = [];
    for (const date of all) {
      const began = performance.now();
      await advanceClock(world.deps, { programId: shop.programId, to: noon(date) });
      times.push(performance.now() - began);
      await buy(world, shop, bought.get(date) ?? []);
      bar.add(1);
    }
    bar.end();
    await assertWorked(world, shop.programId);
    return [inAll(times, shop.members.size)];
  },
};

/** Each kind of work was there to be done, and what was done ties out. */
async function assertWorked({ deps, sql }: World, programId: ProgramId): Promise<void> {
  const { rows } = await sql.query<Record<string, number>>(
    `SELECT
       (SELECT count(*)::int FROM ledger_entries WHERE program_id = $1 AND kind = 'EXPIRE')
         AS expired,
       (SELECT count(*)::int FROM tier_changes WHERE program_id = $1 AND to_rank < from_rank)
         AS downgrades,
       (SELECT count(*)::int FROM ledger_batches WHERE program_id = $1 AND source = 'BIRTHDAY')
         AS birthdays,
       (SELECT count(*)::int FROM ledger_batches WHERE program_id = $1 AND source = 'REENGAGEMENT')
         AS reengagements`,
    [programId],
  );
  const done = Object.entries(rows[0] ?? {});
  const missing = done.filter(([, count]) => count === 0).map(([name]) => name);
  if (missing.length > 0) throw new Error(`the days brought no ${missing.join(', no ')}`);
  const { differences } = await reconcile(deps, { programId });
  if (differences.length > 0) throw new Error(`${differences.length} differences after the days`);
}

function inAll(times: number[], members: number): Result {
  const seconds = times.reduce((sum, time) => sum + time, 0) / 1_000;
  const sorted = [...times].sort((a, b) => a - b);
  return {
    operation: `daily work of ${times.length} days, ${members} members (s in all)`,
    ours: seconds,
    baseline: null,
    ratio: null,
    p50: sorted[times.length >> 1] ?? null,
    p99: sorted[Math.floor(times.length * 0.99)] ?? null,
    target: `<= ${MOST_SECONDS} s`,
    met: seconds <= MOST_SECONDS,
  };
}

const SWEPT_A_SECOND = 10_000;
/** Than a round, by the rate of a sweep that was measured. */
const LONGER = 1.5;
const YEAR_AND_MORE_MS = 400 * 86_400_000;

/** A program whose clock stands behind the end of every lot that is given to its members. */
async function expired(world: World): Promise<(members: number) => Promise<Swept>> {
  const { deps } = world;
  const now = deps.clock.now();
  const programId = await sandbox(world, 'Swept', now);
  await moveClock(deps, { programId, to: new Date(now.getTime() + YEAR_AND_MORE_MS) });
  return async (members) => {
    const first = SPACES.swept;
    await haveMembers({ ...world, programId }, { first, count: members });
    await giveLots(world, { programId, first, members, gone: 0, open: 1 });
    return { programId, members };
  };
}

type Swept = { programId: ProgramId; members: number };

async function sweep({ deps }: World, { programId, members }: Swept): Promise<Round> {
  const began = performance.now();
  const run = await runWorker(deps, { programId, task: 'EXPIRE_POINTS' });
  if (run.changed !== members) throw new Error(`${run.changed} of ${members} were swept`);
  return { rate: (members * 1_000) / (performance.now() - began) };
}

export const sweeps: Line = {
  name: 'sweeps',
  about: 'members whose points are written off, a second',
  run: async (world) => {
    const prepare = await expired(world);
    const sides = {
      sweep: async () => {
        const swept = await prepare(world.options.swept);
        await tidyLedger(world);
        return sweep(world, swept);
      },
    };
    const measured = await alternate(sides, { rounds: world.options.rounds, say: world.say });
    const rate = medianRate(measured.sweep);
    return [
      {
        operation: 'expiry sweep, members a second',
        ours: rate,
        baseline: null,
        ratio: null,
        ...latencies(measured.sweep),
        target: `>= ${SWEPT_A_SECOND.toLocaleString('en')} members/s`,
        met: rate >= SWEPT_A_SECOND,
      },
    ];
  },
};

/** The sweep is to last longer than the round; beside the claims it is slower than alone. */
async function besideSweep(world: World, prepare: () => Promise<Swept>): Promise<Round> {
  const swept = await prepare();
  await tidy(world);
  let isSweeping = true;
  const sweeping = sweep(world, swept).finally(() => {
    isSweeping = false;
  });
  const round = await distinctClaims(world);
  if (!isSweeping) throw new Error('the sweep was over before the claims were');
  world.say(`the sweep beside them: ${Math.round((await sweeping).rate)} members/s`);
  return round;
}

export const sweeping: Line = {
  name: 'sweeping',
  about: 'claims while a sweep runs, against claims alone',
  run: async (world) => {
    const prepare = await expired(world);
    await settle(world);
    const { swept, secondsPerRound } = world.options;
    const { rate } = await sweep(world, await prepare(swept));
    const enough = Math.max(swept, Math.ceil(rate * secondsPerRound * LONGER));
    const sides = {
      beside: () => besideSweep(world, () => prepare(enough)),
      alone: () => distinctClaims(world),
    };
    const plan = { rounds: world.options.rounds, between: () => tidy(world), say: world.say };
    const { beside, alone } = await alternate(sides, plan);
    const than = 'claims alone';
    const title = 'claim, while points are swept';
    return [compared(title, { ours: beside, baseline: alone, atLeast: 0.8, than })];
  },
};
