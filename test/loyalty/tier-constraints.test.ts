/** The database as the last line of the tiers: what no code of ours would do is refused. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testDeps } from '../support/database.ts';
import { casesOf, ruleAgainst, rulesOf, type Violations } from '../support/rules.ts';
import { openTiers } from '../support/tiers.ts';

const deps = await testDeps();
const own = await openTiers(deps);
const client = new pg.Client({ connectionString: deps.config.databaseUrl });
afterAll(() => client.end());

const ids: Record<string, string> = { program: own.programId };

/** Ann lost rank 3 and won it back; Bob lost it for now. */
beforeAll(async () => {
  const [ann, bob] = [await own.member(), await own.member()];
  for (const member of [ann, bob]) await own.lot(member, 500);
  await own.live('2022-03-01');
  await own.lot(ann, 500);
  Object.assign(ids, { ann, bob });
  await client.connect();
});

const change = (values: string) => `
  INSERT INTO tier_changes
    (program_id, member_id, from_tier, to_tier, day, at, from_rank, to_rank, reason, regained_at)
  SELECT :program, :ann, '{}', '{}', '2022-03-01', '2022-03-01Z', ${values}`;
const edit = (who: string, text: string) =>
  `UPDATE tier_changes SET ${text} WHERE member_id = :${who} AND to_rank < from_rank`;

/** By the name of the rule, what it is to refuse. */
const violations: Violations = {
  members_warned_in_grace: [`UPDATE members SET grace_warned = 3 WHERE id = :ann`],
  tier_changes_up_or_one_down: [
    change(`3, 1, 'GRACE_OVER', NULL`),
    change(`4, 1, 'GRACE_OVER', NULL`),
  ],
  tier_changes_down_after_grace: [
    change(`3, 2, 'QUALIFIED', NULL`),
    change(`3, 2, 'LADDER_CHANGED', NULL`),
    change(`1, 2, 'GRACE_OVER', NULL`),
  ],
  tier_changes_regained_after_loss: [change(`1, 2, 'QUALIFIED', '2022-03-01Z'`)],
  tier_changes_facts_stay: [
    ...['member_id = :ann', 'from_rank = 4, to_rank = 3', `from_tier = '{}'`, `to_tier = '{}'`],
    ...[`day = '2022-03-01'`, `at = '2022-03-01Z'`, 'id = 1000000'],
  ]
    .map((text) => edit('bob', text))
    .concat([edit('ann', 'regained_at = NULL'), edit('ann', `regained_at = '2022-04-01Z'`)]),
  tier_changes_kept: ['DELETE FROM tier_changes WHERE program_id = :program'],
};

test.each(casesOf(violations))('%s refuses: %s', async (rule, sql) => {
  expect(await ruleAgainst(deps.db, { client, sql, ids })).toBe(rule);
});

test('every rule of the tiers is tried here', async () => {
  expect(await rulesOf(client, 'tiers')).toEqual(Object.keys(violations).sort());
});
