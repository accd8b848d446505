/** What keeps a member on one rank at a time, and a bonus to its one occasion. */
import { type Guard, type TestOf, withoutLock } from './edits.ts';

const tiers = (title: string): TestOf => ({ file: 'test/race/tiers.test.ts', title });

const ONE_UPGRADE = tiers(
  'two awards cross a threshold, award, award, commit, commit: one upgrade, one bonus',
);
const ONE_BONUS = tiers('bonus, bonus for the same birthday, commit, commit: one bonus');

export const tierGuards: readonly Guard[] = [
  {
    name: 'member lock of a tier',
    protects: 'a tier is judged by all that was done before, and changed by one at a time',
    edits: withoutLock(8),
    needs: [
      tiers('two awards cross a threshold, award, award, commit: the second is told AGAIN'),
      tiers('award, evaluation, commit: it waits, and finds the points that came in'),
      tiers('evaluation, award, commit: the award is told AGAIN at once'),
      tiers('reversal, evaluation, commit: it waits, and misses the points that were taken back'),
      tiers('evaluation, evaluation, commit: the second waits, and finds nothing to do'),
      tiers('evaluation, evaluation, commit, commit at the end of a grace: one rank down'),
      tiers('bonus, bonus for the same birthday, commit: the second waits, and pays nobody'),
    ],
    // The member's row, which every award writes before it judges; the index of bonuses.
    spares: [ONE_UPGRADE, ONE_BONUS],
  },
  {
    name: 'shared lock of the program of a page',
    protects: 'a page that goes by other days of warning does not put them off',
    edits: [{ file: 'evaluate_tiers', replace: / FOR SHARE/g, by: '' }],
    needs: [
      tiers('a page is judged, other days of warning, commit: they count from the next day on'),
    ],
  },
  {
    name: 'member lock and occasion of a bonus',
    protects: 'one bonus for each occasion: the lock, and behind it a unique index',
    edits: withoutLock(8),
    sql: ['DROP INDEX ledger_batches_one_bonus'],
    needs: [ONE_BONUS],
  },
];
