import { expect, test } from 'vitest';
import { parseKeyring } from '../../src/kernel/crypto.ts';
import type { ProgramId } from '../../src/kernel/ids.ts';
import { openDraft, sealDraft } from '../../src/marketing/advisor/sealed-draft.ts';
import type { Draft } from '../../src/marketing/index.ts';

const key = (fill: number) => Buffer.alloc(32, fill).toString('base64');
const keys = (text: string) => ({ config: { encryptionKeys: parseKeyring(text) } });
const deps = keys(`k2:${key(2)},k1:${key(1)}`);
const programId = '01890000-0000-7000-8000-000000000001' as ProgramId;
const otherId = '01890000-0000-7000-8000-000000000002' as ProgramId;
const draft: Draft = {
  name: 'Welcome back',
  discountKind: 'PERCENT',
  discountValue: 1_000,
  maxDiscount: null,
  minOrderAmount: 0,
  endsAt: new Date('2021-02-01T00:00:00Z'),
  perMemberLimit: 1,
  suggestedCount: 100,
};

/** What comes first in a box, and must never be the same for two texts. */
const nonceOf = (id: string) =>
  Buffer.from(id.split('.')[1] as string, 'base64url').subarray(0, 12);

test('what was sealed opens again, and only the same draft of a program has the same id', () => {
  const id = sealDraft(deps, { programId, draft });
  expect(openDraft(deps, { programId, id })).toEqual(draft);
  expect(sealDraft(deps, { programId, draft })).toBe(id);
  const others = [
    sealDraft(deps, { programId, draft: { ...draft, discountValue: 1_001 } }),
    sealDraft(deps, { programId: otherId, draft }),
    sealDraft(keys(`k1:${key(1)}`), { programId, draft }),
  ];
  const nonces = [id, ...others].map((one) => nonceOf(one).toString('hex'));
  expect(new Set(nonces).size).toBe(4);
  expect(id).not.toContain(Buffer.from('Welcome').toString('base64url').slice(0, 9));
});

test('it opens while its key is in the ring, and no longer', () => {
  const id = sealDraft(keys(`k1:${key(1)}`), { programId, draft });
  expect(openDraft(deps, { programId, id })).toEqual(draft);
  expect(openDraft(keys(`k2:${key(2)}`), { programId, id })).toBeUndefined();
  expect(openDraft(keys(`k1:${key(9)}`), { programId, id })).toBeUndefined();
});

test('another program cannot open it', () => {
  const id = sealDraft(deps, { programId, draft });
  expect(openDraft(deps, { programId: otherId, id })).toBeUndefined();
});

test('not one of its characters can be another, left out or added', () => {
  const id = sealDraft(deps, { programId, draft });
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  for (let at = 0; at < id.length; at++) {
    const letter = letters[(letters.indexOf(id[at] as string) + 1) % letters.length] as string;
    for (const other of [letter, '', `${letter}${id[at]}`, '=', ' ', '\u0000', 'ä']) {
      const mangled = id.slice(0, at) + other + id.slice(at + 1);
      if (mangled !== id) expect(openDraft(deps, { programId, id: mangled })).toBeUndefined();
    }
  }
});

test.each([
  '',
  '.',
  'k2',
  'k2.',
  'k2.AAAA',
  `k2.${'A'.repeat(40)}`,
  `k2.${'A'.repeat(5_000)}`,
  '01890000-0000-7000-8000-000000000001',
  '__proto__.AAAA',
])('%j is no suggestion', (id) => {
  expect(openDraft(deps, { programId, id })).toBeUndefined();
});
