/** The database as the last line of campaigns, large jobs and ownership: see test/coupons. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cancelCodeJob, generateCodesJob, pausePool, runCodeJob } from '../../src/coupons/index.ts';
import type { JobId, PoolId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { aCampaign, issue } from '../support/recipients.ts';
import { casesOf, ruleAgainst, rulesOf, type Violations } from '../support/rules.ts';
import { openShop } from '../support/shop.ts';

const deps = await testDeps();
const shop = await openShop(deps);
const client = new pg.Client({ connectionString: deps.config.databaseUrl });
afterAll(() => client.end());

/** What the statements below speak of, by name. */
const ids: Record<string, string> = { program: shop.programId };

beforeAll(async () => {
  await client.connect();
  const { programId } = shop;
  const live = await shop.pool(2);
  const [ann, bob] = [await shop.member(), await shop.member()];
  const held = await shop.claimed(live.id, { memberId: ann.id });
  const free = await deps.db.code.findFirstOrThrow({ where: { status: 'AVAILABLE' } });
  const start = async (poolId: PoolId) =>
    (await generateCodesJob(deps, { programId, poolId, count: 4 })).id as JobId;
  const paused = await shop.pool(1);
  await pausePool(deps, { programId, poolId: paused.id });
  const job = await start(paused.id);
  let batches = 1;
  const mayGoOn = () => batches-- > 0;
  await runCodeJob(deps, { programId, jobId: job, batchSize: 2, mayGoOn });
  const hidden = await deps.db.code.findFirstOrThrow({ where: { batch: { jobId: job } } });
  const ended = await start((await shop.draft(0)).id);
  await cancelCodeJob(deps, { programId, jobId: ended });
  const given = await shop.pool(2);
  const recipients = [{ memberId: ann.id }, { email: 'guest@shop.example' }, { memberId: bob.id }];
  const campaign = await aCampaign(deps, { programId, poolId: given.id, recipients });
  const [issued, guest] = campaign.recipients;
  await issue(deps, { programId, poolId: given.id, recipientId: issued as string });
  Object.assign(ids, {
    campaign: campaign.campaignId,
    issued,
    guest,
    live: live.id,
    paused: paused.id,
    ann: ann.id,
    bob: bob.id,
    held: held.code.id,
    free: free.id,
    hidden: hidden.id,
    job,
    ended,
  });
  ids.revocation = crypto.randomUUID();
  await client.query(
    `INSERT INTO revocations (program_id, id, pool_id, reason, replace, created_at)
     VALUES ($1, $2, $3, 'x', true, now())`,
    [programId, ids.revocation, paused.id],
  );
  await client.query(
    `INSERT INTO ownership_conflicts (program_id, code_id, owner_id, other_id, at)
     VALUES ($1, $2, $3, $4, now())`,
    [programId, held.code.id, ann.id, bob.id],
  );
});

const set = (table: string, id: string, text: string) =>
  `UPDATE ${table} SET ${text} WHERE program_id = :program AND id = :${id}`;
const job = (values: string) => `
  INSERT INTO code_jobs (program_id, id, pool_id, count, done, status, created_at)
  VALUES (:program, gen_random_uuid(), ${values}, now())`;
const recipient = (values: string) => `
  INSERT INTO campaign_recipients (program_id, id, campaign_id, email, member_id)
  VALUES (:program, gen_random_uuid(), :campaign, ${values})`;
const rivalry = (values: string) => `
  INSERT INTO ownership_conflicts (program_id, code_id, owner_id, other_id, at)
  VALUES (:program, ${values}, now())`;

/** By the name of the rule, what it is to refuse. */
const violations: Violations = {
  code_jobs_counts: [
    job(`:paused, 0, 0, 'CANCELLED'`),
    job(`:paused, 5000001, 0, 'CANCELLED'`),
    set('code_jobs', 'job', 'done = -1'),
    set('code_jobs', 'job', 'done = count + 1'),
    set('code_jobs', 'job', `status = 'SEALED'`),
  ],
  code_jobs_one_running: [job(`:paused, 5, 0, 'RUNNING'`)],
  code_jobs_end_once: [
    set('code_jobs', 'ended', `status = 'RUNNING'`),
    set('code_jobs', 'ended', 'done = done + 1'),
    set('code_jobs', 'job', 'count = 100'),
    set('code_jobs', 'job', 'pool_id = :live'),
  ],
  code_jobs_in_open_pool: [job(`:live, 5, 0, 'RUNNING'`)],
  code_jobs_sealed_before_issue: [set('pools', 'paused', `status = 'ACTIVE'`)],
  code_jobs_sealed_before_use: [
    set('codes', 'hidden', `status = 'REVOKED', revoked_at = now(), revoke_reason = 'x'`),
    set(
      'codes',
      'hidden',
      `status = 'ALLOCATED', allocated_at = now(), claim_key = '', member_id = :ann,
        owner_match = 1, revocation_id = :revocation`,
    ),
  ],
  ownership_conflicts_of_two: [rivalry(':free, :ann, :ann')],
  ownership_conflicts_program_id_code_id_owner_id_other_id_key: [rivalry(':held, :ann, :bob')],
  ownership_conflicts_kept: [
    'DELETE FROM ownership_conflicts WHERE program_id = :program',
    'UPDATE ownership_conflicts SET owner_id = :bob WHERE program_id = :program',
  ],
  campaigns_name_said: [
    set('campaigns', 'campaign', `name = ''`),
    set('campaigns', 'campaign', `name = repeat('x', 201)`),
  ],
  campaigns_counts: [
    set('campaigns', 'campaign', 'issued = -1'),
    set('campaigns', 'campaign', 'issued = recipients + 1'),
  ],
  campaigns_run_while_issuing: [set('campaigns', 'campaign', 'issued_up_to = id')],
  campaigns_issued_to_all: [set('campaigns', 'campaign', `status = 'FAILED', issued = recipients`)],
  campaigns_issued_is_all: [set('campaigns', 'campaign', `status = 'ISSUED'`)],
  campaigns_recipients_bounded: [set('campaigns', 'campaign', 'recipients = 1000001')],
  campaign_recipients_one_way: [recipient('NULL, NULL'), recipient(`'both@shop.example', :bob`)],
  campaign_recipients_code_or_refusal: [
    set('campaign_recipients', 'issued', `refusal = 'POOL_EXHAUSTED'`),
  ],
  campaign_recipients_code_stays: [set('campaign_recipients', 'issued', 'code_id = NULL')],
  campaign_recipients_named_once: [
    set('campaign_recipients', 'issued', 'member_id = :bob'),
    set('campaign_recipients', 'guest', `email = 'other@shop.example'`),
  ],
  campaign_recipients_program_id_email_campaign_id_key: [recipient(`'guest@shop.example', NULL`)],
  campaign_recipients_program_id_member_id_campaign_id_key: [recipient('NULL, :ann')],
  codes_replaced_when_revoked: [set('codes', 'held', 'replaced_by_id = :free')],
};

test.each(casesOf(violations))('%s refuses: %s', async (rule, sql) => {
  expect(await ruleAgainst(deps.db, { client, sql, ids })).toBe(rule);
});

test('every rule of the room is tried here', async () => {
  const rules = await rulesOf(client, 'marketing');
  expect(rules.filter((rule) => !(rule in violations))).toEqual([]);
});
