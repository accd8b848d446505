/**
 * Who does a piece of a program's background work at present, across all processes. The holder says
 * every few seconds that it is still there; one that is silent for longer has died, and another
 * takes over. Real time. The work itself is safe without it (locks, and every step done twice
 * changes nothing): a lease keeps it from being done in several places at once.
 */
import type { Clock } from './clock.ts';
import type { Random } from './crypto.ts';
import type { Db } from './db.ts';
import { newId, type ProgramId } from './ids.ts';

const LEASE_MS = 20_000;
const RENEW_EVERY_MS = 5_000;

type Means = { db: Db; clock: Clock; random: Random };
type Named = { programId: ProgramId; name: string };

export type Lease = {
  /** False once another may have taken it: stop at the next place where it is safe to. */
  isHeld(): boolean;
  release(): Promise<void>;
};

/** Undefined while somebody else holds it. Whoever takes it releases it. */
export async function takeLease(deps: Means, of: Named): Promise<Lease | undefined> {
  const holder = newId(deps);
  const end = () => new Date(deps.clock.now().getTime() + LEASE_MS);
  let until = end();
  if (!(await take(deps, { ...of, holder, until }))) return undefined;
  const renew = async () => {
    const next = end();
    const { count } = await deps.db.lease.updateMany({
      where: { programId: of.programId, name: of.name, holder },
      data: { until: next },
    });
    until = count === 1 ? next : deps.clock.now();
  };
  // A database that is away for a moment: the lease is held until it runs out.
  const timer = setInterval(() => void renew().catch(() => {}), RENEW_EVERY_MS).unref();
  return {
    isHeld: () => deps.clock.now() < until,
    release: async () => {
      clearInterval(timer);
      await deps.db.lease.deleteMany({ where: { programId: of.programId, name: of.name, holder } });
    },
  };
}

type Taker = Named & { holder: string; until: Date };

async function take(deps: Means, { programId, name, holder, until }: Taker): Promise<boolean> {
  const taken = await deps.db.$executeRaw`
    INSERT INTO leases (program_id, name, holder, until)
    VALUES (${programId}::uuid, ${name}, ${holder}::uuid, ${until})
    ON CONFLICT (program_id, name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE leases.until <= ${deps.clock.now()}`;
  return taken === 1;
}

/** When the present holder will have been silent for too long; undefined when nobody holds it. */
export async function leaseEnd(deps: Means, of: Named): Promise<Date | undefined> {
  const lease = await deps.db.lease.findUnique({ where: { programId_name: of } });
  return lease?.until;
}
