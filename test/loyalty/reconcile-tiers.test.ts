/** Every invariant of the tiers broken by hand: named each time. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { unguard } from '../support/corrupt.ts';
import { testDeps } from '../support/database.ts';
import { openTiers } from '../support/tiers.ts';

const deps = await testDeps();
const own = await openTiers(deps, { settings: { reupgradeBonus: 70 } });
const client = new pg.Client({ connectionString: deps.config.databaseUrl });
afterAll(() => client.end());

const ids: Record<string, string> = { program: own.programId };

/** Ann lost rank 3 and won it back, Bob is in a grace on rank 2, Cid stands on the first rank. */
beforeAll(async () => {
  const [ann, bob, cid] = [await own.member(), await own.member(), await own.member()];
  await own.lot(ann, 500);
  await own.live('2021-04-01');
  await own.lot(bob, 100);
  await own.lot(cid, 99);
  await own.live('2022-03-01');
  await own.lot(ann, 500);
  await own.live('2022-04-10');
  Object.assign(ids, { ann, bob, cid });
  await client.connect();
  await unguard(client);
});

const STANDS = 'member.tier = where its last change led, else the first';
const BEGINS = 'change of tier: it begins where the one before it led';
const GRACE_ON_FIRST = 'member: a grace only on a rank above the first';
const GRACE_JUDGED = 'member: a grace is judged again before it is over';
const JUDGED = 'member: a tier is judged again before its points can fall short';
const HIGHEST = 'member: on the highest rank that was reached';
const LADDER = 'member: judged by a ladder that there is';
const LOST = 'downgrade: lost until an upgrade has made it good';
const BONUS = 'bonus: for a downgrade of its member that was made good';

const member = (who: string, text: string) => `UPDATE members SET ${text} WHERE id = :${who}`;
const onRank = (rank: number) =>
  `tier_id = (SELECT id FROM tiers t WHERE t.program_id = :program AND t.rank = ${rank})`;
const downgrade = `member_id = :ann AND to_rank < from_rank`;
const bonus = `source = 'REUPGRADE' AND member_id = :ann`;

const corruptions: [string, string[]][] = [
  [member('ann', `${onRank(4)}, tier_due = '2022-04-11'`), [STANDS]],
  [member('cid', `${onRank(2)}, tier_due = '2022-04-11'`), [STANDS]],
  [member('bob', onRank(1)), [STANDS, GRACE_ON_FIRST]],
  [member('cid', `grace_ends_at = '2022-05-01Z', tier_due = '2022-05-01'`), [GRACE_ON_FIRST]],
  [member('bob', 'tier_due = NULL'), [GRACE_JUDGED]],
  [member('bob', `tier_due = '2022-05-02'`), [GRACE_JUDGED]],
  [member('ann', 'tier_due = NULL'), [JUDGED]],
  [member('ann', `tier_due = '2023-03-02'`), [JUDGED]],
  [member('bob', 'grace_ends_at = NULL'), [JUDGED]],
  ['UPDATE tiers SET qualify_points = 500 WHERE program_id = :program AND rank = 4', [HIGHEST]],
  [member('cid', 'ladder_version = ladder_version + 1'), [LADDER]],
  [`UPDATE tier_changes SET from_rank = from_rank + 1 WHERE ${downgrade}`, [BEGINS]],
  [`DELETE FROM tier_changes WHERE ${downgrade}`, [BEGINS, BONUS]],
  [`DELETE FROM tier_changes WHERE member_id = :bob`, [STANDS]],
  [`UPDATE tier_changes SET regained_at = NULL WHERE ${downgrade}`, [LOST, BONUS]],
  [`UPDATE ledger_batches SET occasion = '0' WHERE ${bonus}`, [BONUS]],
  [
    `UPDATE ledger_batches SET occasion = (SELECT min(id)::text FROM tier_changes
      WHERE member_id = :ann) WHERE ${bonus}`,
    [BONUS],
  ],
];

const bound = (statement: string) =>
  statement.replace(/(?<!:):([a-z]+)\b/g, (text, name) =>
    ids[name] ? `'${ids[name]}'::uuid` : text,
  );

test('what the engine wrote has no difference', async () => {
  expect(await own.history(ids.ann as never)).toHaveLength(3);
  expect(await own.grace(ids.bob as never)).toBe('2022-05-01');
  expect(await own.differences()).toEqual([]);
});

test.each(corruptions)('%s is named', async (statement, invariants) => {
  await client.query('BEGIN');
  try {
    const changed = await client.query(bound(statement));
    expect(changed.rowCount).toBe(1);
    const { rows } = await client.query<{ invariant: string }>(
      'SELECT invariant, subject, expected, actual FROM reconcile_tiers($1)',
      [own.programId],
    );
    expect(rows.map((row) => row.invariant).sort()).toEqual([...invariants].sort());
  } finally {
    await client.query('ROLLBACK');
  }
});

test('every invariant of the tiers is broken here', async () => {
  const { rows } = await client.query<{ body: string }>(
    "SELECT prosrc AS body FROM pg_proc WHERE proname = 'reconcile_tiers'",
  );
  const named = [...(rows[0]?.body ?? '').matchAll(/SELECT '([^']+: [^']+|member\.[^']+)'/g)];
  const broken = new Set(corruptions.flatMap(([, invariants]) => invariants));
  expect(new Set(named.map(([, invariant]) => invariant))).toEqual(broken);
});
