import { setTimeout as sleep } from 'node:timers/promises';
import { topUpPool } from '../coupons/index.ts';
import type { Deps } from '../deps.ts';
import { Prisma } from '../generated/prisma/client.ts';
import { inTransaction, type Tx } from '../kernel/db.ts';
import type { PoolId } from '../kernel/ids.ts';
import { appendEvent } from '../kernel/outbox.ts';
import { getCampaign } from './campaigns.ts';
import { issueCodesSql } from './sql/issue-codes.ts';
import type { Campaign, CampaignRef } from './types.ts';

// Three locks for each recipient (a member, an address and its mailbox), and eight for a chain of
// pools: less than the 500 that a transaction may hold.
const CHUNK = 160;
const LANES = 2;
// At the end of a page one lane waits for the other.
const PAGE = 40 * CHUNK;
const PAUSE_MS = 20;

type Run = CampaignRef & { mayGoOn(): boolean };

/**
 * Goes on with a campaign that is ISSUING where it stands, until everybody has a code or a refusal,
 * or it may not go on. Killed anywhere, it has done whole chunks, each recipient with the code.
 * Answers whether nothing is left to do.
 *
 * Locks: as issue_codes for each chunk; the campaign's row.
 * Refusals: none; those of a claim are kept with the recipient.
 * A retry goes on; two at once hinder, but do not harm each other.
 * Events: code.claimed for each new code; campaign.issued once it is through.
 */
export async function runCampaign(deps: Deps, { mayGoOn, ...ref }: Run): Promise<boolean> {
  const after: Record<string, string> = {};
  let ahead: Ahead | undefined;
  for (;;) {
    const campaign = await getCampaign(deps.db, ref);
    if (campaign.status !== 'ISSUING') return true;
    const page = await nextPage(deps, { ...ref, after: campaign.issuedUpTo, ahead });
    const last = page.at(-1);
    if (last === undefined) await finish(deps, ref);
    else {
      ahead = { after: last, page: readPage(deps, { ...ref, after: last }) };
      ahead.page.catch(() => {}); // waited for in the next round, if there is one
      if (!(await issuePage(deps, { ...ref, page, after, mayGoOn }))) return false;
      await moveOn(deps, { campaign, to: last });
    }
  }
}

/** A page that is read while the one before it is issued. */
type Ahead = { after: string; page: Promise<string[]> };
type PageOf = CampaignRef & { after: string | null };

/** What was read ahead may be empty because it was early: then somebody could be there by now. */
async function nextPage(
  deps: Deps,
  { ahead, ...of }: PageOf & { ahead: Ahead | undefined },
): Promise<string[]> {
  const early = ahead?.after === of.after ? await ahead?.page : undefined;
  return early?.length ? early : readPage(deps, of);
}

/** The next recipients who lack a code. */
async function readPage(deps: Deps, of: PageOf): Promise<string[]> {
  const { programId, campaignId, after } = of;
  const rows = await deps.db.campaignRecipient.findMany({
    where: { programId, campaignId, codeId: null, ...(after ? { id: { gt: after } } : {}) },
    orderBy: { id: 'asc' },
    take: PAGE,
    select: { id: true },
  });
  return rows.map(({ id }) => id);
}

type IssuePage = Run & { page: string[]; after: Record<string, string> };

/** False when it had to stop before everybody of the page was answered. */
async function issuePage(deps: Deps, { page, mayGoOn, ...of }: IssuePage): Promise<boolean> {
  let waiting = [...page];
  for (let round = 0; waiting.length > 0; round++) {
    // Whoever is claiming at this moment is waited for outside of any lock.
    if (round > 0) await sleep(PAUSE_MS);
    const again: string[] = [];
    const lane = async () => {
      while (waiting.length > 0 && mayGoOn())
        again.push(...(await issueChunk(deps, { ...of, recipients: waiting.splice(0, CHUNK) })));
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    if (waiting.length > 0) return false;
    waiting = again;
  }
  return true;
}

type Chunk = CampaignRef & { recipients: string[]; after: Record<string, string> };

/** Answers who is to be asked for again. */
async function issueChunk(deps: Deps, of: Chunk): Promise<string[]> {
  const answers = await issueCodesSql(deps, of);
  for (const { outcome, poolId, codeId } of answers)
    if (outcome === 'CLAIMED' && codeId > (of.after[poolId] ?? '')) of.after[poolId] = codeId;
  const short = answers.find(({ outcome }) => outcome === 'TOP_UP');
  const { programId } = of;
  if (short) await topUpPool(deps, { programId, poolId: short.poolId as PoolId });
  return answers.flatMap(({ recipient }) => recipient ?? []);
}

/** Those who were refused up to there are asked for again by the next run, and not by this one. */
async function moveOn(deps: Deps, { campaign, to }: { campaign: Campaign; to: string }) {
  const { programId, id, issuedUpTo } = campaign;
  await deps.db.campaign.updateMany({
    where: { programId, id, status: 'ISSUING', issuedUpTo },
    data: { issuedUpTo: to },
  });
}

type State = Pick<Campaign, 'poolId' | 'recipients' | 'issued'> & { version: string };

/** Of a campaign that is ISSUING. `version` is another one after each change of the row. */
async function stateOf(db: Pick<Tx, '$queryRaw'>, of: CampaignRef, lock = Prisma.empty) {
  const [row] = await db.$queryRaw<State[]>`
    SELECT pool_id::text AS "poolId", recipients, issued, xmin::text AS version FROM campaigns
    WHERE program_id = ${of.programId}::uuid AND id = ${of.campaignId}::uuid
      AND status = 'ISSUING' ${lock}`;
  return row;
}

/**
 * Behind the last recipient; unless somebody was added, or lost a code, where it has passed: then
 * it goes round again. Whether it did is looked for before the row is locked, because that may take
 * as long as there are recipients, and each claim of one of them waits for the row.
 */
async function finish(deps: Deps, ref: CampaignRef): Promise<void> {
  const { programId, campaignId } = ref;
  const seen = await stateOf(deps.db, ref);
  if (!seen) return;
  const { poolId, recipients, issued, version } = seen;
  const unanswered = { programId, campaignId, codeId: null, refusal: null };
  const isThrough =
    issued === recipients || !(await deps.db.campaignRecipient.findFirst({ where: unanswered }));
  const status = issued === recipients ? 'ISSUED' : 'FAILED';
  await inTransaction(deps, async (tx) => {
    const row = await stateOf(tx, ref, Prisma.sql`FOR NO KEY UPDATE`);
    if (row?.version !== version) return;
    await tx.campaign.update({
      where: { programId_id: { programId, id: campaignId } },
      data: { issuedUpTo: null, ...(isThrough && { status }) },
    });
    if (!isThrough) return;
    const data = { campaignId, poolId, recipients, issued };
    await appendEvent(tx, { programId, type: 'campaign.issued', data });
  });
}

/** The campaigns that somebody should go on with. */
export async function openCampaigns(deps: Deps): Promise<CampaignRef[]> {
  return deps.db.$queryRaw<CampaignRef[]>`
    SELECT program_id::text AS "programId", id::text AS "campaignId" FROM campaigns
    WHERE status = 'ISSUING' ORDER BY id`;
}
