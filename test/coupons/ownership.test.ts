/** Whose code is it, for every way to come by one. */
import { describe, expect, test } from 'vitest';
import { walletsOf } from '../../src/coupons/index.ts';
import { upsertMember } from '../../src/members/index.ts';
import { testDeps } from '../support/database.ts';
import { unique } from '../support/factories.ts';
import { aCampaign } from '../support/recipients.ts';
import { openShop, type Who } from '../support/shop.ts';

const deps = await testDeps();
const shop = await openShop(deps);
const { programId } = shop;
const pool = await shop.pool(400);

const recipient = async (named: { email: string } | { memberId: string }): Promise<Who> => {
  const made = await aCampaign(deps, { programId, poolId: pool.id, recipients: [named] });
  return { recipientId: made.recipients[0] };
};

/** By what a code is claimed: what names a member is that member's, whatever the addresses are. */
const WAYS: Record<string, (to: { memberId: string; email: string }) => Promise<Who>> = {
  'member id': async ({ memberId }) => ({ memberId }),
  'recipient that is the member': ({ memberId }) => recipient({ memberId }),
  'recipient by address': ({ email }) => recipient({ email }),
  'guest by address': async ({ email }) => ({ email }),
};
const MATCH = { 'member id': 1, 'recipient that is the member': 2 } as Record<string, number>;
const BY_ADDRESS = { 'recipient by address': 2, 'guest by address': 3 } as Record<string, number>;

/** How the member spells the address that is claimed for as ann@shop.example. */
const SPELLINGS: Record<string, (email: string) => string> = {
  same: (email) => email,
  'other case and spaces': (email) => ` ${email.toUpperCase()} `,
  'plus sign': (email) => email.replace('@', '+x@'),
  'another address': (email) => `other-${email}`,
};

const CHANGES: Record<string, (email: string) => object> = {
  kept: () => ({}),
  changed: (email) => ({ email: `new-${email}` }),
  'changed to a verified one': (email) => ({ email: `new-${email}`, emailVerified: true }),
  removed: () => ({ email: null }),
  'said to be unverified': () => ({ emailVerified: false }),
};

const cases = Object.keys(WAYS).flatMap((way) =>
  ['never', 'before', 'after'].flatMap((verified) =>
    Object.keys(SPELLINGS).map((spelling) => [way, verified, spelling] as const),
  ),
);

test.each(cases)('by %s, verified %s it is claimed, address spelled: %s', async (...row) => {
  const [way, verified, spelling] = row;
  const own = MATCH[way];
  const shared = spelling === 'same' || spelling === 'other case and spaces';
  const match = own ?? (verified !== 'never' && shared ? BY_ADDRESS[way] : undefined);
  const outcomes = Object.entries(CHANGES).map(async ([change, input]) => {
    const email = `${unique('ann')}@shop.example`;
    const spelled = SPELLINGS[spelling]?.(email) as string;
    const { id: memberId, externalId } = await shop.member({ email: spelled });
    if (verified === 'before') await shop.verify(externalId, spelled);
    const who = (await WAYS[way]?.({ memberId, email })) as Who;
    const { code } = await shop.claimed(pool.id, who);
    if (verified === 'after') await shop.verify(externalId, spelled);
    await upsertMember(deps, { programId, input: { externalId, ...input(email) } });
    const [wallet] = await walletsOf(deps, { programId, ids: [memberId] });
    return { change, code: code.id, wallet: wallet?.map((one) => [one.id, one.ownerMatch]) };
  });
  for (const { change, code, wallet } of await Promise.all(outcomes))
    expect(wallet, change).toEqual(match === undefined ? [] : [[code, match]]);
});

type Step =
  | 'guest claims'
  | 'recipient claims'
  | `${'A' | 'B'} ${'claims' | 'is recipient' | 'has it' | 'verifies' | 'leaves'}`;
type Told = { A: number[]; B: number[]; nobody?: number[]; conflicts?: string[] };

/**
 * Steps about one address and two members, A being the older, and who has which code in the end.
 * Codes are counted in the order in which they were handed out.
 */
const STORIES: [string, Step[], Told][] = [
  ['nobody verified', ['guest claims', 'A claims'], { A: [2], B: [], nobody: [1] }],
  ['merged: guest, then member', ['guest claims', 'A claims', 'A verifies'], { A: [1, 2], B: [] }],
  ['the guest is the member', ['A verifies', 'guest claims', 'A claims'], { A: [1], B: [] }],
  [
    'the recipient is the member, and the guest',
    ['A verifies', 'recipient claims', 'guest claims', 'A is recipient', 'A claims'],
    { A: [1], B: [] },
  ],
  [
    'an unverified address is nobody’s',
    ['A has it', 'recipient claims', 'A is recipient'],
    { A: [2], B: [], nobody: [1] },
  ],
  ['both verified: the older', ['B verifies', 'A verifies', 'guest claims'], { A: [1], B: [] }],
  [
    'the first who verified keeps it from the older one',
    ['guest claims', 'B verifies', 'A verifies'],
    { A: [], B: [1], conflicts: ['1: B, A'] },
  ],
  [
    'the older who verified first keeps it from the younger one',
    ['recipient claims', 'A verifies', 'B verifies'],
    { A: [1], B: [], conflicts: ['1: A, B'] },
  ],
  [
    'whoever left keeps it from whoever came',
    ['guest claims', 'A verifies', 'A leaves', 'B verifies'],
    { A: [1], B: [], conflicts: ['1: A, B'] },
  ],
  [
    'after one has left, the other is the guest',
    ['A verifies', 'A leaves', 'B verifies', 'guest claims'],
    { A: [], B: [1] },
  ],
  [
    'a conflict is recorded once, and none with oneself',
    [
      'guest claims',
      'A verifies',
      'B verifies',
      'A leaves',
      'A verifies',
      'B leaves',
      'B verifies',
    ],
    { A: [1], B: [], conflicts: ['1: A, B'] },
  ],
  [
    'what a member claimed by id is nobody else’s in any case',
    ['A verifies', 'A claims', 'B verifies', 'guest claims', 'B claims'],
    { A: [1], B: [2] },
  ],
  [
    'whoever verifies gets what is still without an owner, and only that',
    ['A verifies', 'guest claims', 'A leaves', 'B verifies', 'B claims', 'guest claims'],
    { A: [1], B: [2], conflicts: ['1: A, B'] },
  ],
  [
    'whoever claims with an address that its owner has left gets another code',
    ['A verifies', 'guest claims', 'A leaves', 'guest claims'],
    { A: [1], B: [], nobody: [2] },
  ],
];

describe('two members and one address', () => {
  test.each(STORIES)('%s', async (_, steps, told) => {
    const email = `${unique('both')}@shop.example`;
    const A = await shop.member();
    await shop.clockAt(Number(unique('at').split('-')[1]) * 1_000);
    const B = await shop.member();
    const members = { A, B };
    const codes: string[] = [];
    const claim = async (who: Who) => {
      const { code } = await shop.claimed(pool.id, who);
      if (!codes.includes(code.id)) codes.push(code.id);
    };
    const set = (externalId: string, input: object) =>
      upsertMember(deps, { programId, input: { externalId, ...input } });
    const doing: Record<string, (of: typeof A) => Promise<unknown>> = {
      claims: ({ id: memberId }) => claim({ memberId }),
      'is recipient': async ({ id: memberId }) => claim(await recipient({ memberId })),
      'has it': ({ externalId }) => set(externalId, { email }),
      verifies: ({ externalId }) => set(externalId, { email, emailVerified: true }),
      leaves: ({ externalId }) => set(externalId, { email: `left-${email}` }),
    };
    for (const step of steps) {
      const [who = '', what = ''] = step.split(/ (.*)/);
      if (who === 'guest') await claim({ email });
      else if (who === 'recipient') await claim(await recipient({ email }));
      else await doing[what]?.(members[who as 'A' | 'B']);
    }
    const numbers = (ids: string[]) => ids.map((id) => codes.indexOf(id) + 1).sort();
    const wallets = await walletsOf(deps, { programId, ids: [A.id, B.id] });
    const [ofA, ofB] = wallets.map((wallet) => numbers(wallet.map(({ id }) => id)));
    const rows = await deps.db.code.findMany({ where: { id: { in: codes }, memberId: null } });
    const nobody = numbers(rows.map(({ id }) => id));
    const found = await deps.db.ownershipConflict.findMany({ where: { codeId: { in: codes } } });
    const name = (id: string) => (id === A.id ? 'A' : 'B');
    const conflicts = found.map(
      ({ codeId, ownerId, otherId }) => `${numbers([codeId])}: ${name(ownerId)}, ${name(otherId)}`,
    );
    expect({ A: ofA, B: ofB, nobody, conflicts }).toEqual({ nobody: [], conflicts: [], ...told });
  });
});

test.each(['guest', 'recipient'])(
  'the place of a %s is still taken when its owner leaves the address, and its code not given',
  async (who) => {
    const email = `${unique('left')}@shop.example`;
    const { id: memberId, externalId } = await shop.member();
    const { code } = await shop.claimed(pool.id, { email });
    await shop.verify(externalId, email);
    await upsertMember(deps, { programId, input: { externalId, email: null } });
    const named = who === 'guest' ? { email } : await recipient({ email });
    const claim = () => shop.claim(pool.id, named);
    expect(await shop.refused(claim)).toBe('CLAIM_LIMIT_REACHED');
    expect((await shop.claimed(pool.id, { memberId })).code.id).toBe(code.id);
  },
);
