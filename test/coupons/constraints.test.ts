/** The database as the last line: what no code of ours would do is refused by its own rules. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { importCodes, revokeCode, revokeCodes } from '../../src/coupons/index.ts';
import { type CodeId, newId, type PoolId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { casesOf, ruleAgainst, rulesOf, type Violations } from '../support/rules.ts';
import { openShop } from '../support/shop.ts';
import { unchanged } from '../support/unchanged.ts';

const deps = await testDeps();
const shop = await openShop(deps);
const client = new pg.Client({ connectionString: deps.config.databaseUrl });
afterAll(() => client.end());

/** What the statements below speak of, by name. */
const ids: Record<string, string> = { program: shop.programId };

beforeAll(async () => {
  await client.connect();
  const { programId } = shop;
  const live = await shop.pool(5, { stackable: true });
  const plain = await shop.pool(3);
  const draft = await shop.draft(1);
  const minting = await shop.draft(0);
  await importCodes(deps, { programId, poolId: minting.id, codes: ['FREE-CODE'] });
  const [ann, bob] = [await shop.member({ email: 'ann@shop.example' }), await shop.member()];
  const held = await shop.claimed(live.id, { memberId: ann.id });
  const spent = await shop.claimed(live.id, { memberId: bob.id });
  const { redemption } = await shop.redeemed(spent.plaintext, 'order-1');
  const revoked = await shop.claimed(plain.id, { memberId: ann.id });
  await revokeCode(deps, { programId, codeId: revoked.code.id as CodeId, reason: 'x' });
  const alone = await shop.claimed(plain.id, { memberId: bob.id });
  const single = await shop.redeemed(alone.plaintext, 'order-2');
  const code = await deps.db.code.findFirstOrThrow({ where: { poolId: draft.id } });
  await aConflict(live.id);
  Object.assign(ids, {
    live: live.id,
    draft: draft.id,
    ann: ann.id,
    bob: bob.id,
    free: code.id,
    batch: code.batchId,
    held: held.code.id,
    spent: spent.code.id,
    revoked: revoked.code.id,
    redemption: redemption.id,
    single: single.redemption.id,
    ...(await revocations(plain.id)),
  });
});

/** Two members who verified, one after the other, the address that a guest had claimed with. */
async function aConflict(poolId: string) {
  const email = 'guest@shop.example';
  await shop.claimed(poolId, { email });
  for (let i = 0; i < 2; i++) await shop.member({ email, emailVerified: true });
}

/** One that has ended, and one that was cut short. */
async function revocations(pool: string) {
  const { programId } = shop;
  const common = { programId, poolId: pool as PoolId, reason: 'x', replace: false };
  await revokeCodes(deps, { ...common, idempotencyKey: 'key' });
  const { id: ended } = await deps.db.revocation.findFirstOrThrow({ where: { programId } });
  const open = newId<string>(deps);
  const createdAt = deps.clock.now();
  await deps.db.revocation.create({ data: { ...common, id: open, createdAt } });
  return { ended, open };
}

const redemption = (values: string) => `
  INSERT INTO redemptions (program_id, id, code_id, order_id, order_amount, discount_amount,
    stackable, redeemed_at, voided_at, void_reason)
  SELECT :program, gen_random_uuid(), ${values}`;
const copyOf = (table: string, id: string, changes: string) => `
  INSERT INTO ${table} SELECT (jsonb_populate_record(t, jsonb_build_object(${changes}))).*
  FROM ${table} t WHERE program_id = :program AND id = :${id}`;
const setProgram = (text: string) => `UPDATE programs SET ${text} WHERE id = :program`;
const set = (table: string, id: string, text: string) =>
  `UPDATE ${table} SET ${text} WHERE program_id = :program AND id = :${id}`;
const setTier = (text: string, rank = 2) =>
  `UPDATE tiers SET ${text} WHERE program_id = :program AND rank = ${rank}`;
const ZEROS = '00000000-0000-0000-0000-000000000000';
const anId = `'id', gen_random_uuid()`;
const newHash = `'lookup_hash', '\\x' || repeat('ab', 32)`;

/** By the name of the rule, what it is to refuse. */
const violations: Violations = {
  programs_name_said: [setProgram(`name = ''`), setProgram(`name = repeat('x', 201)`)],
  programs_currency_iso: [
    `INSERT INTO programs
     SELECT (jsonb_populate_record(p, '{"id": "${ZEROS}", "currency": "usd"}')).* FROM programs p`,
  ],
  programs_clock_of_a_sandbox: [setProgram('clock = NULL')],
  programs_settings_in_range: [
    ...['base_rate', 'min_amount', 'daily_cap', 'maturity_days', 'grace_days', 'point_value'],
    ...['reupgrade_bonus', 'reupgrade_window_months', 'birthday_bonus', 'reengagement_bonus'],
    ...['max_discount_rate', 'max_backdate_days', 'inactive_days', 'expiry_months'],
  ].map((column) => setProgram(`${column} = -1`)),
  programs_fixed: [
    setProgram(`currency = 'EUR'`),
    setProgram(`time_zone = 'Europe/Berlin'`),
    setProgram(`sandbox = false, clock = NULL`),
  ],
  programs_clock_forward: [setProgram(`clock = clock - interval '1 millisecond'`)],
  tiers_rank_from_one: [setTier('rank = 0, qualify_points = 0, maintain_points = 0')],
  tiers_first_qualifies_at_zero: [setTier('qualify_points = 1', 1)],
  tiers_maintain_within_qualify: [
    setTier('maintain_points = -1'),
    setTier('maintain_points = qualify_points + 1'),
  ],
  tiers_multiplier_positive: [setTier('multiplier = -1')],
  tiers_program_id_rank_key: [setTier('rank = 1, qualify_points = 0, maintain_points = 0')],
  secret_keys_program_id_hash_key: [
    `INSERT INTO secret_keys SELECT program_id, gen_random_uuid(), name, hash, last_four, scopes,
       created_at FROM secret_keys WHERE program_id = :program`,
  ],
  members_email_normalised: [
    set('members', 'ann', `email = 'Ann@shop.example'`),
    set('members', 'ann', `email = ' ann@shop.example'`),
    set('members', 'ann', `email = ''`),
  ],
  members_verified_has_email: [set('members', 'bob', 'email_verified = true')],
  members_program_id_external_id_key: [copyOf('members', 'ann', anId)],
  pools_discount_in_range: [
    set('pools', 'draft', 'discount_value = 0'),
    set('pools', 'draft', 'discount_value = 10001'),
    set('pools', 'draft', `discount_kind = 'AMOUNT', discount_value = 0`),
    set('pools', 'draft', `discount_kind = 'GIFT'`),
  ],
  pools_max_discount_of_percent: [
    set('pools', 'draft', 'max_discount = 0'),
    set('pools', 'draft', `discount_kind = 'AMOUNT', max_discount = 1`),
  ],
  pools_min_order_amount: [set('pools', 'draft', 'min_order_amount = -1')],
  pools_dates_half_open: [
    set('pools', 'draft', `starts_at = '2021-01-01Z', ends_at = '2021-01-01Z'`),
  ],
  pools_member_limit: [
    set('pools', 'draft', 'per_member_limit = 0'),
    set('pools', 'draft', 'per_member_limit = 1001'),
  ],
  pools_fallback_named: [
    set('pools', 'draft', `exhaustion = 'FALLBACK'`),
    set('pools', 'draft', 'fallback_pool_id = :live'),
  ],
  pools_not_its_own_fallback: [
    set('pools', 'draft', `exhaustion = 'FALLBACK', fallback_pool_id = id`),
  ],
  pools_top_up_bounded: [set('pools', 'draft', `exhaustion = 'TOP_UP'`)],
  pools_max_codes: [set('pools', 'draft', 'max_codes = 0')],
  pools_start_in_draft: [copyOf('pools', 'live', anId)],
  pools_lifecycle: [
    set('pools', 'draft', `status = 'PAUSED'`),
    set('pools', 'draft', `status = 'ARCHIVED'`),
    set('pools', 'live', `status = 'DRAFT'`),
  ],
  pools_edited_in_draft: [set('pools', 'live', 'discount_value = 2000')],
  code_batches_count: [
    set('code_batches', 'batch', 'count = 0'),
    set('code_batches', 'batch', 'count = 5001'),
  ],
  codes_claimed_or_free: [
    set('codes', 'free', `status = 'ALLOCATED'`),
    set('codes', 'free', `status = 'ALLOCATED', allocated_at = now(), claim_key = ''`),
    set('codes', 'free', `claim_email = 'a@b.example'`),
    set('codes', 'free', `claim_key = ''`),
    set('codes', 'free', 'asked_pool_id = :live'),
    set('codes', 'free', 'recipient_id = gen_random_uuid()'),
    set('codes', 'free', 'revocation_id = :ended'),
    set('codes', 'free', 'revoked_at = now()'),
    set('codes', 'free', `status = 'REVOKED'`),
    set('codes', 'held', 'allocated_at = NULL'),
  ],
  codes_redeemed_at: [
    set('codes', 'held', `status = 'REDEEMED'`),
    set('codes', 'held', 'redeemed_at = now()'),
    set('codes', 'spent', `status = 'ALLOCATED'`),
  ],
  codes_reservation_whole: [
    set('codes', 'held', `reserved_for = 'order-1'`),
    set('codes', 'held', 'reserved_until = now()'),
  ],
  codes_reserved_while_allocated: [
    set('codes', 'free', `reserved_for = 'o', reserved_until = now()`),
    set('codes', 'spent', `reserved_for = 'o', reserved_until = now()`),
  ],
  codes_owner_match: [
    set('codes', 'held', 'owner_match = NULL'),
    set('codes', 'held', 'owner_match = 4'),
    set('codes', 'held', 'owner_match = 0'),
  ],
  codes_hash_of_sha256: [set('codes', 'free', `lookup_hash = '\\x00'`)],
  codes_program_id_lookup_hash_key: [copyOf('codes', 'free', anId)],
  codes_start_available: [copyOf('codes', 'held', `${anId}, ${newHash}`)],
  codes_lifecycle: [
    set('codes', 'free', `status = 'REDEEMED', redeemed_at = now()`),
    set('codes', 'held', `status = 'AVAILABLE'`),
    set('codes', 'spent', `status = 'AVAILABLE'`),
    set('codes', 'spent', `status = 'REVOKED', revoked_at = now(), redeemed_at = NULL`),
    set('codes', 'revoked', `status = 'ALLOCATED', revoked_at = NULL`),
    set('codes', 'revoked', `status = 'AVAILABLE', revoked_at = NULL`),
  ],
  codes_owner_stays: [set('codes', 'held', 'member_id = :bob')],
  codes_replaced_when_revoked: [
    set('codes', 'held', 'replaced_by_id = :free'),
    set('codes', 'revoked', 'replaced_by_id = id'),
  ],
  ownership_conflicts_of_two: [
    `INSERT INTO ownership_conflicts (program_id, code_id, owner_id, other_id, at)
     VALUES (:program, :held, :ann, :ann, now())`,
  ],
  ownership_conflicts_program_id_code_id_owner_id_other_id_key: [
    `INSERT INTO ownership_conflicts (program_id, code_id, owner_id, other_id, at)
     SELECT program_id, code_id, owner_id, other_id, at FROM ownership_conflicts
     WHERE program_id = :program`,
  ],
  ownership_conflicts_kept: [
    'DELETE FROM ownership_conflicts WHERE program_id = :program',
    'UPDATE ownership_conflicts SET at = now() WHERE program_id = :program',
  ],
  revocations_of_one: [
    copyOf('revocations', 'open', `${anId}, 'batch_id', :batch::text`),
    copyOf('revocations', 'open', `${anId}, 'pool_id', NULL`),
  ],
  revocations_counts: [
    ...['revoked = -1', 'recycled = -1', 'replaced = -1', 'revoked = 1, replaced = 1'].map((text) =>
      set('revocations', 'open', text),
    ),
    copyOf('revocations', 'open', `${anId}, 'replace', true, 'revoked', 1, 'replaced', 2`),
  ],
  revocations_end_once: [
    set('revocations', 'ended', 'revoked = revoked + 1'),
    set('revocations', 'open', `reason = 'other'`),
    set('revocations', 'open', 'replace = true'),
  ],
  revocations_kept: ['DELETE FROM revocations WHERE program_id = :program AND id = :ended'],
  codes_pool_stays: [
    set('codes', 'free', 'pool_id = :live'),
    set('codes', 'free', 'id = gen_random_uuid()'),
  ],
  codes_in_open_pool: [copyOf('codes', 'free', `${anId}, ${newHash}, 'pool_id', :live::text`)],
  codes_kept: ['DELETE FROM codes WHERE program_id = :program AND id = :free'],
  claims_slot_from_one: [`INSERT INTO claims VALUES (:program, :live, 'member:x', 0, :held)`],
  claims_within_limit: [`INSERT INTO claims VALUES (:program, :live, 'member:x', 2, :held)`],
  claims_pkey: ['INSERT INTO claims SELECT * FROM claims WHERE code_id = :held'],
  redemptions_amounts: [
    redemption(`:held, 'o', -1, 0, true, now(), NULL, NULL`),
    redemption(`:held, 'o', 5, 6, true, now(), NULL, NULL`),
    redemption(`:held, 'o', 5, -1, true, now(), NULL, NULL`),
  ],
  redemptions_void_said: [
    redemption(`:held, 'o', 5, 5, true, now(), now(), NULL`),
    redemption(`:held, 'o', 5, 5, true, now(), NULL, 'x'`),
  ],
  redemptions_no_mixture: [
    redemption(`:held, 'order-1', 5, 5, false, now(), NULL, NULL`),
    redemption(`:held, 'order-2', 5, 5, true, now(), NULL, NULL`),
  ],
  redemptions_one_live: [redemption(`:spent, 'order-9', 5, 5, true, now(), NULL, NULL`)],
  redemptions_one_on_an_order: [redemption(`:held, 'order-2', 5, 5, false, now(), NULL, NULL`)],
  redemptions_facts_stay: [
    set('redemptions', 'redemption', 'discount_amount = 0'),
    set('redemptions', 'redemption', `order_id = 'order-9'`),
    `WITH first AS (SELECT 1) ${set('redemptions', 'single', 'redeemed_at = now()')}`,
  ],
  redemptions_kept: ['DELETE FROM redemptions WHERE program_id = :program'],
  code_reveals_kept: [
    'DELETE FROM code_reveals WHERE program_id = :program',
    `UPDATE code_reveals SET actor = 'key:other' WHERE program_id = :program`,
  ],
  idempotency_keys_pkey: [
    `INSERT INTO idempotency_keys SELECT :program, 'op', 'key', '\\x00', :program, now()
     FROM generate_series(1, 2)`,
  ],
};

test.each(casesOf(violations))('%s refuses: %s', async (rule, sql) => {
  expect(await ruleAgainst(deps.db, { client, sql, ids })).toBe(rule);
});

test('every rule of the coupons is tried here', async () => {
  const rules = await rulesOf(client, 'coupons');
  expect(rules.filter((rule) => !(rule in violations))).toEqual([]);
});

test('a program, a member, a pool or a batch that something belongs to is not deleted', async () => {
  for (const table of ['programs', 'members', 'pools', 'code_batches', 'tiers']) {
    const column = table === 'programs' ? 'id' : 'program_id';
    await unchanged(deps.db, () =>
      expect(
        client.query(`DELETE FROM ${table} WHERE ${column} = $1`, [ids.program]),
      ).rejects.toMatchObject({ code: expect.stringMatching(/^2300[13]$/) }),
    );
  }
});
