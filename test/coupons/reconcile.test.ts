/** The census of codes and campaigns, broken by hand: each time it is named, and nothing else. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  generateCodesJob,
  pausePool,
  reconcileCodes,
  runCodeJob,
} from '../../src/coupons/index.ts';
import type { JobId } from '../../src/kernel/ids.ts';
import { unguard } from '../support/corrupt.ts';
import { testDeps } from '../support/database.ts';
import { aCampaign, issue } from '../support/recipients.ts';
import { openShop } from '../support/shop.ts';

const deps = await testDeps();
const shop = await openShop(deps);
const { programId } = shop;
const client = new pg.Client({ connectionString: deps.config.databaseUrl });
afterAll(() => client.end());
const ids: Record<string, string> = {};

beforeAll(async () => {
  const pool = await shop.pool(4);
  const ann = await shop.member();
  const held = await shop.claimed(pool.id, { memberId: ann.id });
  const spender = await shop.member();
  const spent = await shop.claimed(pool.id, { memberId: spender.id });
  await shop.redeemed(spent.plaintext, 'order-1');
  const other = await shop.pool(2);
  const recipients = [{ memberId: ann.id }, { email: 'guest@shop.example' }];
  const made = await aCampaign(deps, { programId, poolId: other.id, recipients });
  const recipientId = made.recipients[0] as string;
  const issued = await issue(deps, { programId, poolId: other.id, recipientId });
  await pausePool(deps, { programId, poolId: pool.id });
  const job = await generateCodesJob(deps, { programId, poolId: pool.id, count: 4 });
  let batches = 1;
  const mayGoOn = () => batches-- > 0;
  await runCodeJob(deps, { programId, jobId: job.id as JobId, batchSize: 2, mayGoOn });
  const hidden = await deps.db.code.findFirstOrThrow({ where: { batch: { jobId: job.id } } });
  Object.assign(ids, {
    ...{ held: held.code.id, spent: spent.code.id, issued, hidden: hidden.id },
    ...{ batch: held.code.batchId, campaign: made.campaignId },
  });
  await client.connect();
  await unguard(client);
});

const BATCH = 'batch.count = its codes';
const REDEMPTION = 'a REDEEMED code has one live redemption, any other none';
const PLACE = 'a claimed code counts in its pool, and in the one that was asked';
const HOLDER = "the code of a recipient is somebody's";
const RECIPIENTS = 'campaign.recipients = its recipients';
const ISSUED = 'campaign.issued = its recipients with a code';
const UNSEALED = 'codes of an unsealed job are AVAILABLE';

const code = (id: string, text: string) => `UPDATE codes SET ${text} WHERE id = :${id}`;
const campaign = (text: string) => `UPDATE campaigns SET ${text} WHERE id = :campaign`;

const corruptions: [string, string[]][] = [
  ['UPDATE code_batches SET count = count + 1 WHERE id = :batch', [BATCH]],
  [code('held', `status = 'REDEEMED'`), [REDEMPTION]],
  [code('spent', `status = 'ALLOCATED'`), [REDEMPTION]],
  ['DELETE FROM claims WHERE code_id = :held', [PLACE]],
  [code('issued', `status = 'AVAILABLE'`), [HOLDER]],
  [campaign('recipients = recipients + 1'), [RECIPIENTS]],
  [campaign('recipients = 0'), [RECIPIENTS]],
  [campaign('issued = issued - 1'), [ISSUED]],
  ['UPDATE campaign_recipients SET code_id = NULL WHERE campaign_id = :campaign', [ISSUED]],
  ['DELETE FROM campaign_recipients WHERE campaign_id = :campaign', [ISSUED, RECIPIENTS]],
  [code('hidden', `status = 'REVOKED', revoked_at = now()`), [UNSEALED]],
];

test('what the engine wrote has no difference', async () => {
  expect(await reconcileCodes(deps, { programId })).toEqual([]);
});

test.each(corruptions)('%s is named', async (statement, invariants) => {
  await client.query('BEGIN');
  try {
    const bound = statement.replace(/:([a-z]+)\b/g, (_, name: string) => `'${ids[name]}'`);
    expect((await client.query(bound)).rowCount).toBeGreaterThan(0);
    const { rows } = await client.query<{ invariant: string }>(
      'SELECT invariant FROM reconcile_codes($1)',
      [programId],
    );
    expect(rows.map(({ invariant }) => invariant).sort()).toEqual(invariants.toSorted());
  } finally {
    await client.query('ROLLBACK');
  }
});
