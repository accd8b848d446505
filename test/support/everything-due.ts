/**
 * A day on which every task of the daily work finds something for every member: a lot that ends,
 * a metric that falls below the tier, a birthday, a purchase just long enough ago, a reservation
 * that has run out.
 */
import type { Deps } from '../../src/deps.ts';
import type { MemberId, ProgramId } from '../../src/kernel/ids.ts';
import { awardPoints } from '../../src/loyalty/index.ts';
import { advanceClock } from '../../src/programs/index.ts';
import { aPool, aProgram, unique } from './factories.ts';
import { localDays } from './local-days.ts';
import { claim, manyMembers } from './scenes.ts';
import { sessions } from './sessions.ts';

export type Scene = {
  programId: ProgramId;
  secretKey: string;
  members: MemberId[];
  /** The day, and its start. */
  day: string;
  start: Date;
};

const AT_ONCE = 100;
const LADDER = [
  { name: 'Member', qualifyPoints: 0, maintainPoints: 0, multiplier: 10_000 },
  { name: 'Silver', qualifyPoints: 1_000, maintainPoints: 800, multiplier: 10_000 },
];

const settings = {
  baseRate: '100',
  expiryMonths: 12,
  birthdayBonus: 7,
  reengagementBonus: 9,
  inactiveDays: 30,
};

/** A sandbox that stands at noon of the day before, and whose next day to be worked is the day. */
export async function everythingDue(
  deps: Deps,
  { day, count }: { day: string; count: number },
): Promise<Scene> {
  const { plusDays, plusMonths, startOf } = localDays('UTC');
  const noon = (of: string) => new Date(startOf(of) + 43_200_000);
  const yearBefore = plusMonths(day, -12);
  const clock = noon(plusDays(yearBefore, -1));
  const { programId, secretKey } = await aProgram(deps, { clock, settings, tiers: LADDER });
  const members = await manyMembers(deps, { programId, count });
  await deps.db.member.updateMany({
    where: { programId },
    data: { birthday: new Date(`1992${day.slice(4)}`) },
  });
  const purchase = purchases(deps, { programId, members });
  await purchase(10);
  await advanceClock(deps, { programId, to: noon(yearBefore) });
  await purchase(1_000);
  await advanceClock(deps, { programId, to: noon(plusDays(day, -settings.inactiveDays)) });
  await purchase(1);
  await advanceClock(deps, { programId, to: noon(plusDays(day, -1)) });
  await reservations(deps, { programId, members });
  await nextDay(deps, { programId, day });
  return { programId, secretKey, members, day, start: new Date(startOf(day)) };
}

type Crowd = { programId: ProgramId; members: readonly MemberId[] };

/** One purchase of so many points by each of them, now. */
const purchases =
  (deps: Deps, { programId, members }: Crowd) =>
  (amount: number) =>
    each(members, async (memberId) => {
      const order = { source: 'SHOPIFY', orderId: unique('order'), generation: 1 };
      const awarded = await awardPoints(deps, { programId, memberId, amount, ...order });
      if (!awarded.ok) throw new Error(awarded.reason);
    });

/** A code for each of them, held for an order that never came. */
async function reservations(deps: Deps, { programId, members }: Crowd): Promise<void> {
  const { id: poolId } = await aPool(deps, { programId, codes: members.length });
  await each(members, async (memberId) => {
    const claimed = await claim(deps, { programId, poolId, memberId, actor: 'key:scene' });
    if (!claimed.ok) throw new Error(claimed.reason);
  });
  await deps.db.$executeRaw`
    UPDATE codes SET reserved_for = 'order', reserved_until = program_now(program_id)
      + interval '1 hour' WHERE program_id = ${programId}::uuid`;
}

async function each(members: readonly MemberId[], work: (id: MemberId) => Promise<void>) {
  for (let done = 0; done < members.length; done += AT_ONCE)
    await Promise.all(members.slice(done, done + AT_ONCE).map(work));
}

/** The days before it count as done. */
export const nextDay = (deps: Deps, { programId, day }: { programId: ProgramId; day: string }) =>
  deps.db.programWork.update({ where: { programId }, data: { day: new Date(day), step: 0 } });

/** Real time from now on: what a sandbox may not become, and the day due. */
export async function goLive(deps: Deps, { programId, day }: Scene): Promise<void> {
  const [session] = await sessions(deps.config.databaseUrl, 1);
  await session?.query("SET session_replication_role = 'replica'");
  const live = 'UPDATE programs SET sandbox = false, clock = NULL WHERE id = $1';
  await session?.query(live, [programId]);
  await session?.close();
  await nextDay(deps, { programId, day });
  await deps.db.programWork.update({ where: { programId }, data: { dueAt: new Date(day) } });
}

/** What became of each member, in their order, without what differs from one program to another. */
export async function stateOf(deps: Deps, { programId }: { programId: ProgramId }) {
  const rows = await deps.db.$queryRaw<{ state: unknown }[]>`
    SELECT jsonb_build_object(
      'rank', t.rank, 'outstanding', m.outstanding, 'grace', m.grace_ends_at IS NOT NULL,
      'due', m.tier_due,
      'lots', (SELECT jsonb_agg(jsonb_build_array(source, points, remaining, expired, occasion,
          day) ORDER BY sequence)
        FROM ledger_batches l WHERE l.program_id = m.program_id AND l.member_id = m.id),
      'journal', (SELECT jsonb_agg(jsonb_build_array(kind, points, balance_after) ORDER BY id)
        FROM ledger_entries e WHERE e.program_id = m.program_id AND e.member_id = m.id),
      'events', (SELECT jsonb_agg(jsonb_build_array(type,
          data
          - '{batchId,spendId,codeId,poolId,tierId,fromTierId,toTierId}'::text[]) ORDER BY xid, id)
        FROM events v WHERE v.program_id = m.program_id AND v.member_id = m.id),
      'codes', (SELECT jsonb_agg(jsonb_build_array(status, reserved_for))
        FROM codes c WHERE c.program_id = m.program_id AND c.member_id = m.id)) AS state
    FROM members m JOIN tiers t ON t.program_id = m.program_id AND t.id = m.tier_id
    WHERE m.program_id = ${programId}::uuid ORDER BY m.id`;
  return rows.map(({ state }) => state);
}
