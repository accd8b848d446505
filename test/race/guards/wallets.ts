/** What makes one person of several names, and keeps a code that is taken back from its users. */
import { type Guard, type TestOf, withoutLock } from './edits.ts';

const wallets = (title: string): TestOf => ({ file: 'test/race/wallets.test.ts', title });

const revocations = (title: string): TestOf => ({ file: 'test/race/revocations.test.ts', title });

const FIRST_OWNS = wallets(
  'two members verify one address, commit: the first owns, the second is recorded',
);
const SEEN_BY_CLAIM = wallets(
  'the holder claims the unseen code, recycle, commit: it was seen, so it is retired',
);
const SEEN_BY_READING = wallets('reveal, recycle, commit: it was seen, so it is retired');
const LEFT_REDEEMED = wallets('redeem, revoke, commit: it waits, and leaves the code redeemed');
const KNOWN = wallets(
  'reserve an unseen code, recycle, commit: somebody knows its text, so it is retired',
);

const UNSEEN = { file: 'recycle_codes', replace: /AND c\.revealed_at IS NULL/g, by: '' };
const AS_IT_IS = {
  file: 'revoke_codes',
  replace: /AND \(status = 'ALLOCATED'/g,
  by: "AND (status IN ('ALLOCATED', 'REDEEMED')",
};

export const walletGuards: readonly Guard[] = [
  {
    name: 'identity lock of a recipient',
    protects: 'a member and a recipient who are one person get one code, and neither waits',
    edits: withoutLock(2),
    needs: [
      wallets(
        'member claims, recipient of the same person claims, commit: AGAIN, then the same code',
      ),
      wallets('recipient claims, address is verified, commit: the code is the member’s'),
    ],
    spares: [FIRST_OWNS],
  },
  {
    name: 'identity lock and row lock of a binding',
    protects: 'of two who verify one address the later one sees that the code has an owner',
    edits: [
      ...withoutLock(2),
      { file: 'bind_codes', replace: /ORDER BY id FOR NO KEY UPDATE/g, by: 'ORDER BY id' },
    ],
    needs: [FIRST_OWNS],
  },
  {
    name: 'row lock of a hand-out',
    protects: 'an unseen code that is going back to its pool is not handed out',
    edits: [{ file: 'hand_out_codes', replace: /FOR NO KEY UPDATE SKIP LOCKED/g, by: '' }],
    needs: [
      wallets('recycle, the holder claims the unseen code, commit: AGAIN, then another code'),
      wallets('recycle, the unseen code is issued to the same person again, commit: AGAIN'),
      revocations(
        'replace, a recipient of the holder claims, commit: AGAIN, then the fresh code is noted',
      ),
    ],
    spares: [SEEN_BY_CLAIM],
  },
  {
    name: 'row lock of a reading',
    protects: 'whoever reads an unseen code sees that it has gone back to its pool meanwhile',
    edits: [{ file: 'reveal_codes', replace: /ORDER BY id FOR NO KEY UPDATE/g, by: '' }],
    needs: [wallets('recycle, reveal, commit: the text is not given, and nobody has seen it')],
    spares: [SEEN_BY_READING],
  },
  {
    name: 'holder of a code that is read',
    protects: 'a code that has changed hands since it was looked up is given to nobody',
    edits: [
      {
        file: 'reveal_codes',
        replace: /WHERE i\.held =[^;]*= c\.member_id\)\);/g,
        by: 'WHERE true);',
      },
    ],
    needs: [
      {
        file: 'test/race/campaigns.test.ts',
        title: 'a page is read, its code is recycled and issued to another, go on: not in the file',
      },
    ],
  },
  {
    name: 'code of a recipient who is refused',
    protects:
      'a refusal is kept with nobody who has a code: the CHECK behind it would stop the run',
    edits: [
      {
        file: 'issue_codes',
        replace: /AND r\.code_id IS NULL AND r\.refusal/g,
        by: 'AND r.refusal',
      },
    ],
    needs: [
      {
        file: 'test/race/campaigns.test.ts',
        title: 'a chunk begins, its recipient claims and is revoked, go on: nothing is noted',
      },
    ],
  },
  {
    name: 'swap of a recycled code',
    protects: 'what somebody has seen does not go back: behind the swap stands a trigger',
    edits: [UNSEEN],
    sql: ['DROP TRIGGER codes_lifecycle ON codes'],
    needs: [SEEN_BY_CLAIM, SEEN_BY_READING, KNOWN],
  },
  {
    name: 'swap of a revoked code',
    protects: 'a redeemed code is left alone: behind the swap stand a trigger and a CHECK',
    edits: [AS_IT_IS],
    sql: [
      'DROP TRIGGER codes_lifecycle ON codes',
      'ALTER TABLE codes DROP CONSTRAINT codes_redeemed_at',
    ],
    needs: [LEFT_REDEEMED],
  },
  {
    name: 'row lock of a redemption beside a revocation',
    protects: 'an order never waits for a page of a revocation',
    edits: [{ file: 'lock_redemptions', replace: /FOR NO KEY UPDATE SKIP LOCKED/g, by: '' }],
    needs: [
      wallets('revoke, redeem, commit: the order is told AGAIN at once, then that it is revoked'),
    ],
    spares: [LEFT_REDEEMED],
  },
  {
    name: 'row lock of a reservation',
    protects: 'a code is reserved as it is, not as it was: the swap behind it fails the request',
    edits: [{ file: 'reserve_code', replace: /\n\s*FOR NO KEY UPDATE/g, by: '' }],
    needs: [wallets('revoke, reserve, commit: it waits, and is refused')],
  },
  {
    name: 'wait for the last free codes',
    protects: 'no holder goes without a fresh code while one is only being looked at',
    edits: [{ file: 'replace_codes', replace: /FOR UPDATE;/g, by: 'FOR UPDATE SKIP LOCKED;' }],
    needs: [
      revocations(
        'the last code is being claimed, replace, roll back: it is waited for, and given',
      ),
    ],
  },
  {
    name: 'free codes before campaigns',
    protects: 'who replaces codes and who issues to a campaign never wait for each other',
    edits: [
      { file: 'revoke_codes', replace: /PERFORM await_free_codes\([^;]*;/g, by: '' },
      { file: 'replace_codes', replace: /FOR UPDATE SKIP LOCKED\)/g, by: 'FOR UPDATE)' },
    ],
    needs: [
      revocations(
        'a free code is had, replace beside what is recycled, then the campaign’s row: no deadlock',
      ),
    ],
  },
  {
    name: 'pool lock of a replacement',
    protects: 'once a pause has answered, nobody is given a fresh code in place of another',
    edits: withoutLock(4),
    needs: [revocations('replace, pause, commit: it answers after the replacements are settled')],
  },
  {
    name: 'age of a revoked code',
    protects: 'a revocation is not told under an earlier number than what it saw',
    edits: [{ file: 'revoke_codes', replace: /began_later\(c\.xmin\)/g, by: 'false' }],
    needs: [wallets('a page has begun, a later code of it is reserved, go on: told in that order')],
  },
  {
    name: 'row of a revocation',
    protects: 'the same key at once: each page is done by one of them',
    edits: [
      {
        file: 'revoke_codes',
        replace: /AND id = p_revocation FOR NO KEY UPDATE/g,
        by: 'AND id = p_revocation',
      },
    ],
    needs: [revocations('the same key ten times at once in two processes: one revocation')],
  },
];
