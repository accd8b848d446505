import { CODE_JOB, openCodeJobs, runCodeJob } from '../coupons/index.ts';
import type { Deps } from '../deps.ts';
import { isBusy } from '../kernel/errors.ts';
import type { CampaignId, JobId, ProgramId } from '../kernel/ids.ts';
import { leaseEnd, takeLease } from '../kernel/lease.ts';
import { wakeFleet } from '../kernel/wake-up.ts';
import { CAMPAIGN_RUN, openCampaigns, runCampaign } from '../marketing/index.ts';

type Row = { programId: ProgramId; id: string };

/**
 * Work on one row that may take minutes. It is done in slices: between two of them the queue comes
 * to whatever else there is to do, and a process that is told to stop need not wait for the end.
 */
type Background = {
  lease: string;
  /** Those that somebody should go on with. */
  open(deps: Deps): Promise<Row[]>;
  /** Answers whether nothing is left to do. */
  work(deps: Deps, of: Row & { mayGoOn(): boolean }): Promise<boolean>;
};

const SLICE_MS = 5_000;
const PAUSE_MS = 1_000;

export const background: Record<string, Background> = {
  [CODE_JOB]: {
    lease: 'job',
    open: async (deps) =>
      (await openCodeJobs(deps)).map(({ programId, jobId }) => ({ programId, id: jobId })),
    work: (deps, { programId, id, mayGoOn }) =>
      runCodeJob(deps, { programId, jobId: id as JobId, mayGoOn }),
  },
  [CAMPAIGN_RUN]: {
    lease: 'campaign',
    open: async (deps) =>
      (await openCampaigns(deps)).map(({ programId, campaignId }) => ({
        programId,
        id: campaignId,
      })),
    work: (deps, { programId, id, mayGoOn }) =>
      runCampaign(deps, { programId, campaignId: id as CampaignId, mayGoOn }),
  },
};

/** For what nobody was woken for, or whoever was woken has died. */
export async function wakeBackground(deps: Deps): Promise<void> {
  for (const [task, { open }] of Object.entries(background))
    for (const row of await open(deps)) await wakeFleet(deps.db, { task, ...row });
}

/** One slice of work on a row; the next wake-up goes on with it, here or elsewhere. */
export async function workOn(
  deps: Deps,
  { task, signal, ...row }: Row & { task: string; signal: AbortSignal },
): Promise<void> {
  const { lease: kind, work } = background[task] as Background;
  const name = `${kind}:${row.id}`;
  const wakeAt = (at: Date | undefined) => wakeFleet(deps.db, { task, ...row, ...(at && { at }) });
  const lease = await takeLease(deps, { ...row, name });
  if (!lease) return wakeAt(await leaseEnd(deps, { programId: row.programId, name }));
  const until = performance.now() + SLICE_MS;
  const mayGoOn = () => lease.isHeld() && !signal.aborted && performance.now() < until;
  const done = await work(deps, { ...row, mayGoOn })
    .catch((error: unknown) => {
      if (isBusy(error)) return 'busy';
      throw error;
    })
    .finally(() => lease.release());
  const later = new Date(deps.clock.now().getTime() + PAUSE_MS);
  if (done !== true) await wakeAt(done === 'busy' ? later : undefined);
}
