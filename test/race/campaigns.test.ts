/** Campaigns that are issued while people claim, by several processes, and killed on the way. */
import pg from 'pg';
import { beforeAll, expect, inject, test, vi } from 'vitest';
import { claimCode, findCode, reconcileCodes, revokeCodes } from '../../src/coupons/index.ts';
import { readCsv } from '../../src/kernel/csv.ts';
import type { CampaignId, PoolId, ProgramId, RecipientId } from '../../src/kernel/ids.ts';
import {
  addRecipients,
  createCampaign,
  exportCodes,
  issueCampaign,
  runCampaign,
} from '../../src/marketing/index.ts';
import { issueCodesSql } from '../../src/marketing/sql/issue-codes.ts';
import { testKeys } from '../support/database.ts';
import { aPool, aProgram, unique } from '../support/factories.ts';
import { end, launch } from '../support/process.ts';
import { revokeAll, revokePage } from '../support/revocations.ts';
import { claim, type Processes, twoProcesses } from '../support/scenes.ts';
import { type Session, sessions } from '../support/sessions.ts';
import { luck, rounds, torture } from '../support/torture.ts';

let on: Processes;
let programId: ProgramId;
let first: Session;
beforeAll(async () => {
  on = await twoProcesses();
  programId = (await aProgram(on.left)).programId;
  [first] = (await sessions(on.databaseUrl, 1)) as [Session];
});

const LIST = 5_000;
const addresses = (count: number) =>
  Array.from({ length: count }, () => `${unique('reader')}@race.example`);

/** ISSUING, for people who have no code yet. */
async function aMailing(poolId: PoolId, emails: string[]): Promise<CampaignId> {
  const input = { name: unique('Campaign'), poolId, recipients: [] };
  const { id } = await createCampaign(on.left, { programId, input });
  const campaignId = id as CampaignId;
  for (let from = 0; from < emails.length; from += LIST) {
    const recipients = emails.slice(from, from + LIST).map((email) => ({ email }));
    await addRecipients(on.left, { programId, campaignId, recipients });
  }
  await issueCampaign(on.left, { programId, campaignId });
  return campaignId;
}

const campaignOf = (id: string) =>
  on.left.db.campaign.findUniqueOrThrow({ where: { programId_id: { programId, id } } });

/** Everybody has one code, the campaign knows which, and nobody else has any. */
async function expectOneEach(id: string, poolId: PoolId): Promise<void> {
  const campaign = await campaignOf(id);
  expect(campaign).toMatchObject({ status: 'ISSUED', issued: campaign.recipients });
  const [row] = await on.left.db.$queryRaw<Record<string, bigint>[]>`
    SELECT count(*) AS recipients, count(DISTINCT r.code_id) AS codes,
      count(*) FILTER (WHERE c.status = 'ALLOCATED' AND c.claim_email = r.email) AS own,
      (SELECT count(*) FROM codes WHERE program_id = ${programId}::uuid
        AND pool_id = ${poolId}::uuid AND status = 'ALLOCATED') AS allocated,
      (SELECT count(*) FROM claims WHERE program_id = ${programId}::uuid
        AND pool_id = ${poolId}::uuid) AS claims
    FROM campaign_recipients r
    LEFT JOIN codes c ON c.program_id = r.program_id AND c.id = r.code_id
    WHERE r.program_id = ${programId}::uuid AND r.campaign_id = ${id}::uuid`;
  const all = BigInt(campaign.recipients);
  expect(row).toEqual({ recipients: all, codes: all, own: all, allocated: all, claims: all });
}

test('a recipient claims, the campaign issues, commit: one code', async () => {
  const { id: poolId } = await aPool(on.left, { programId, codes: 5 });
  const [email] = addresses(1) as [string];
  const id = await aMailing(poolId, [email]);
  await first.begin();
  await first.claim(programId, [{ poolId, email }]);
  const going = { programId, campaignId: id, mayGoOn: () => true };
  // It waits for nobody, but asks again: a while for it to do so, and then the claim is there.
  const run = runCampaign(on.left, going);
  await new Promise((resolve) => setTimeout(resolve, 150));
  await first.commit();
  expect(await run).toBe(true);
  await expectOneEach(id, poolId);
});

test('recipients who claim while their campaign is issued by two processes have one code each', async () => {
  for (let round = rounds(2, 30); round > 0; round--) {
    const emails = addresses(200);
    const { id: poolId } = await aPool(on.left, { programId, codes: 250 });
    const id = await aMailing(poolId, emails);
    const going = { programId, campaignId: id, mayGoOn: () => true };
    const claims = luck(`campaign ${round}`).shuffled(emails);
    const [answers] = await Promise.all([
      Promise.all(
        claims.map((email, i) =>
          claim(on.either(i), { programId, poolId, email, actor: 'key:race' }),
        ),
      ),
      runCampaign(on.left, going),
      runCampaign(on.right, going),
    ]);
    expect(answers.filter(({ ok }) => !ok)).toEqual([]);
    await expectOneEach(id, poolId);
  }
});

/** Of a campaign that may be ISSUING: refused then, or what it issued is taken back. */
const takeBack = (campaignId: CampaignId) =>
  revokeAll(on.right, { programId, campaignId }).catch((error: unknown) =>
    expect(error).toMatchObject({ code: 'CONFLICT' }),
  );

test('codes are replaced and recycled while their campaign is issued by two processes', async () => {
  for (let round = rounds(2, 30); round > 0; round--) {
    const emails = addresses(200);
    const { id: poolId } = await aPool(on.left, { programId, codes: 400 });
    const id = await aMailing(poolId, emails);
    await Promise.all(
      emails
        .slice(0, 40)
        .map((email) => claim(on.left, { programId, poolId, email, actor: 'key:race' })),
    );
    const going = { programId, campaignId: id, mayGoOn: () => true };
    const of = { programId, poolId, reason: 'x', replace: true };
    await Promise.all([
      runCampaign(on.left, going),
      runCampaign(on.right, going),
      revokeCodes(on.left, { ...of, idempotencyKey: unique('key') }),
      revokeCodes(on.right, { ...of, idempotencyKey: unique('key') }),
      takeBack(id),
    ]);
    expect(await reconcileCodes(on.left, { programId })).toEqual([]);
    // What was issued and recycled at once is issued anew.
    await issueCampaign(on.left, { programId, campaignId: id });
    await runCampaign(on.left, going);
    await expectOneEach(id, poolId);
  }
});

type Beside<T> = { at(text: string): boolean; meanwhile(): Promise<unknown>; work(): Promise<T> };

/** The answer of the work, while something happens before the first statement that is meant. */
async function beside<T>({ at, meanwhile, work }: Beside<T>): Promise<T> {
  const query = pg.Client.prototype.query as (this: pg.Client, ...args: unknown[]) => unknown;
  let isOver = false;
  const spy = vi.spyOn(pg.Client.prototype, 'query').mockImplementation(function (
    this: pg.Client,
    ...args: unknown[]
  ) {
    const [asked] = args as [string | { text: string }];
    if (isOver || !at(typeof asked === 'string' ? asked : asked.text))
      return query.apply(this, args) as never;
    isOver = true;
    return meanwhile().then(() => query.apply(this, args));
  } as never);
  try {
    return await work();
  } finally {
    spy.mockRestore();
  }
}

/** The lines of the file, while `meanwhile` happens between its first statement and its second. */
function exportBeside(campaignId: CampaignId, meanwhile: () => Promise<unknown>) {
  let asked = 0;
  const work = async () => {
    let text = '';
    for await (const piece of exportCodes(on.left, { programId, campaignId, actor: 'key:race' }))
      text += piece;
    return readCsv(text, 'csv')
      .filter((cells) => cells.length > 1)
      .slice(1);
  };
  return beside({ at: () => ++asked === 2, meanwhile, work });
}

const recipientsOf = (campaignId: string) =>
  on.left.db.campaignRecipient.findMany({ where: { programId, campaignId } });

test('a run looks for who is left, one loses a code, another claims it: it goes round again', async () => {
  const { id: poolId } = await aPool(on.left, { programId, codes: 1 });
  const campaignId = await aMailing(poolId, addresses(2));
  let loser: string | undefined;
  await beside({
    at: (text) => /"refusal" IS NULL/.test(text),
    meanwhile: async () => {
      const all = await recipientsOf(campaignId);
      loser = all.find(({ refusal }) => !refusal)?.id;
      const recipientId = all.find(({ refusal }) => refusal)?.id as string;
      // Neither waits for the run: a session gives up sooner than a lock would be let go.
      await revokePage(first, { programId, campaignId });
      expect(await first.claim(programId, [{ poolId, recipientId }])).toMatchObject([
        { outcome: 'CLAIMED' },
      ]);
    },
    work: () => runCampaign(on.left, { programId, campaignId, mayGoOn: () => true }),
  });
  expect(await campaignOf(campaignId)).toMatchObject({ status: 'FAILED', issued: 1 });
  const refused = (await recipientsOf(campaignId)).filter(({ codeId }) => codeId === null);
  expect(refused).toMatchObject([{ id: loser, refusal: 'POOL_EXHAUSTED' }]);
});

test('a chunk begins, its recipient claims and is revoked, go on: nothing is noted', async () => {
  const { id: poolId } = await aPool(on.left, { programId, codes: 2 });
  const campaignId = await aMailing(poolId, addresses(1));
  const recipientId = (await recipientsOf(campaignId))[0]?.id as RecipientId;
  await first.begin();
  await first.query('LOCK TABLE programs IN ACCESS EXCLUSIVE MODE');
  const of = { programId, campaignId, recipients: [recipientId], after: {} };
  const issuing = issueCodesSql(on.left, of).catch((error: Error) => error);
  await first.isWaitedFor();
  const [claimed] = await first.claim(programId, [{ poolId, recipientId }]);
  await revokePage(first, { programId, poolId });
  await first.commit();
  // AGAIN when it goes on a moment before the other's last lock is gone.
  const answered = await issuing;
  expect(
    answered instanceof Error ? answered : answered.filter(({ outcome }) => outcome !== 'AGAIN'),
  ).toEqual([]);
  expect(await recipientsOf(campaignId)).toMatchObject([
    { codeId: claimed?.codeId, refusal: null },
  ]);
});

test('a code is being changed, its recipient claims again: given at once', async () => {
  const { id: poolId } = await aPool(on.left, { programId, codes: 1 });
  const campaignId = await aMailing(poolId, addresses(1));
  const recipientId = (await recipientsOf(campaignId))[0]?.id as RecipientId;
  const asked = { programId, poolId, recipientId, actor: 'key:race' } as const;
  const held = await claimCode(on.left, asked);
  await first.begin();
  await first.query('SELECT id FROM codes WHERE program_id = $1 AND pool_id = $2 FOR UPDATE', [
    ...[programId, poolId],
  ]);
  expect(await claimCode(on.left, asked)).toEqual({ ...held, alreadyClaimed: true });
  await first.commit();
});

test('a page is read, its code is recycled and issued to another, go on: not in the file', async () => {
  const [email, other] = addresses(2) as [string, string];
  const { id: poolId } = await aPool(on.left, { programId, codes: 1 });
  const campaignId = await aMailing(poolId, [email]);
  await runCampaign(on.left, { programId, campaignId, mayGoOn: () => true });
  const file = exportBeside(campaignId, async () => {
    await revokeAll(on.right, { programId, campaignId });
    await first.claim(programId, [{ poolId, email: other, actor: null }]);
  });
  expect(await file).toEqual([]);
  const code = await on.left.db.code.findFirstOrThrow({ where: { programId, poolId } });
  expect(code).toMatchObject({ claimEmail: other, revealedAt: null });
});

test('a campaign is exported while it is taken back: no line without its own code', async () => {
  for (let round = rounds(2, 40); round > 0; round--) {
    const emails = addresses(60);
    const { id: poolId } = await aPool(on.left, { programId, codes: 60 });
    const campaignId = await aMailing(poolId, emails);
    await runCampaign(on.left, { programId, campaignId, mayGoOn: () => true });
    const pieces: string[] = [];
    const reading = async () => {
      const of = { programId, campaignId, actor: 'key:race' } as const;
      for await (const piece of exportCodes(on.left, of)) pieces.push(piece);
    };
    const others = addresses(60).map((email) => ({ poolId, email, actor: null }));
    const taking = async () => {
      await new Promise((resolve) => setTimeout(resolve, luck(`export ${round}`).below(15)));
      await revokeAll(on.right, { programId, campaignId });
      await first.claim(programId, others);
    };
    await Promise.all([reading(), taking()]);
    const told = readCsv(pieces.join(''), 'csv').slice(1);
    for (const [email, , , , , text] of told.filter((cells) => cells.length > 1)) {
      const code = await findCode(on.left, { programId, code: text as string });
      expect(code).toMatchObject({ claimEmail: email });
    }
  }
});

const startWorker = () => {
  const env = { ...testKeys, DATABASE_URL: on.databaseUrl, REDIS_URL: inject('redisUrl') };
  return launch('src/worker.ts', { env });
};

/** Until so many have codes, or the run is over. */
async function until(id: string, issued: number): Promise<void> {
  for (;;) {
    const campaign = await campaignOf(id);
    if (campaign.issued >= issued || campaign.status !== 'ISSUING') return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('SIGKILL of the worker three times in the middle of a campaign: everyone has exactly one code', {
  timeout: torture ? 3_600_000 : 180_000,
}, async () => {
  const count = torture ? 100_000 : 5_000;
  const { id: poolId } = await aPool(on.left, { programId, codes: count + 100 });
  const id = await aMailing(poolId, addresses(count));
  const dice = luck('kill a campaign');
  let killed = 0;
  for (let kill = rounds(3, 3); kill > 0; kill--) {
    const worker = startWorker();
    const { issued } = await campaignOf(id);
    await until(id, issued + 1 + dice.below(count / 8));
    await end(worker, 'SIGKILL');
    const { status } = await campaignOf(id);
    // It was done before it could be killed, where this process was held up.
    if (status !== 'ISSUING') break;
    killed += 1;
    // As if the twenty seconds had passed after which a silent holder is taken for dead.
    await on.left.db.lease.deleteMany({ where: { programId } });
  }
  if (torture) expect(killed).toBe(3);
  const worker = startWorker();
  await until(id, count + 1);
  await end(worker, 'SIGTERM');
  await expectOneEach(id, poolId);
  const again = await claimCode(on.left, {
    ...{ programId, poolId, actor: 'key:race' },
    recipientId: (
      await on.left.db.campaignRecipient.findFirstOrThrow({ where: { campaignId: id } })
    ).id,
  });
  expect(again).toMatchObject({ ok: true, alreadyClaimed: true });
});
