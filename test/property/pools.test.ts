import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  activatePool,
  archivePool,
  createPool,
  generateCodes,
  importCodes,
  pausePool,
  resumePool,
  statsOfPools,
  topUpPool,
  updatePool,
} from '../../src/coupons/index.ts';
import { Mistake, type MistakeCode } from '../../src/kernel/errors.ts';
import type { PoolId } from '../../src/kernel/ids.ts';
import { testDeps } from '../support/database.ts';
import { poolInput } from '../support/factories.ts';
import { openShop, type Shop } from '../support/shop.ts';
import { snapshot } from '../support/snapshot.ts';
import { rounds, seed, torture } from '../support/torture.ts';

const deps = await testDeps();
// A counterexample is made smaller for so long: an ordinary run must end while somebody waits.
const LIMIT_MS = torture ? 3_600_000 : 60_000;

const pool = fc.nat({ max: 4 });
const maxCodes = fc.option(fc.integer({ min: 1, max: 12 }), { nil: null });
const settings = fc.record({ maxCodes, topUp: fc.boolean() });
// Few letters and small lists, so that lists meet; two spellings are one code.
const word = fc.constantFrom('AAAA', 'a-a-a-a', 'BBBB', 'CCCC', 'c0c0', 'COCO', 'DDDD', 'EEEE');
const step = fc.oneof(
  fc.record({ do: fc.constant('create' as const), settings }),
  fc.record({ do: fc.constant('update' as const), pool, settings }),
  fc.record({ do: fc.constant('generate' as const), pool, count: fc.integer({ min: 0, max: 8 }) }),
  fc.record({ do: fc.constant('import' as const), pool, codes: fc.array(word, { maxLength: 3 }) }),
  fc.record({
    do: fc.constantFrom(
      'activate' as const,
      'pause' as const,
      'resume' as const,
      'archive' as const,
    ),
    pool,
  }),
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('claim' as const), pool, member: fc.nat(5) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

type Settings = { maxCodes: number | null; topUp: boolean };
type Facts = Settings & {
  id: PoolId;
  status: 'DRAFT' | 'ACTIVE' | 'PAUSED' | 'ARCHIVED';
  made: number;
  holders: Set<number>;
};
type World = { shop: Shop; pools: Facts[]; words: Set<string>; members: string[] };
type Verdict = MistakeCode | 'fine';

const inputOf = ({ topUp, maxCodes }: Settings) =>
  poolInput({ maxCodes, exhaustion: topUp ? 'TOP_UP' : 'REFUSE' });
const isPossible = ({ topUp, maxCodes }: Settings) => !topUp || maxCodes !== null;
const spelled = (code: string) => code.toUpperCase().replaceAll('-', '').replaceAll('O', '0');
const room = (facts: Facts) => (facts.maxCodes ?? Number.POSITIVE_INFINITY) - facts.made;

/** Runs a command: it succeeds if the model says so, else it fails as said, and changes nothing. */
async function expectVerdict(verdict: Verdict, work: () => Promise<unknown>): Promise<void> {
  if (verdict === 'fine') return void (await work());
  const before = await snapshot(deps.db);
  const error = await work().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Mistake);
  expect((error as Mistake).code).toBe(verdict);
  expect(await snapshot(deps.db)).toEqual(before);
}

async function create({ shop, pools }: World, settings: Settings) {
  const { programId } = shop;
  if (!isPossible(settings))
    return expectVerdict('BAD_USER_INPUT', () =>
      createPool(deps, { programId, input: inputOf(settings) }),
    );
  const { id } = await createPool(deps, { programId, input: inputOf(settings) });
  pools.push({ ...settings, id: id as PoolId, status: 'DRAFT', made: 0, holders: new Set() });
}

async function update({ shop }: World, facts: Facts, settings: Settings) {
  const edit = { programId: shop.programId, poolId: facts.id, input: inputOf(settings) };
  let verdict: Verdict = facts.status === 'DRAFT' ? 'fine' : 'CONFLICT';
  // A ceiling below what is there already is no ceiling.
  const fits = room({ ...facts, ...settings }) >= 0;
  if (!isPossible(settings) || (verdict === 'fine' && !fits)) verdict = 'BAD_USER_INPUT';
  await expectVerdict(verdict, () => updatePool(deps, edit));
  if (verdict === 'fine') Object.assign(facts, settings);
}

const opens = (facts: Facts, count: number): Verdict =>
  ['DRAFT', 'PAUSED'].includes(facts.status) && count <= room(facts) ? 'fine' : 'CONFLICT';

async function generate({ shop }: World, facts: Facts, count: number) {
  const verdict = count < 1 ? 'BAD_USER_INPUT' : opens(facts, count);
  await expectVerdict(verdict, () =>
    generateCodes(deps, { programId: shop.programId, poolId: facts.id, count }),
  );
  if (verdict === 'fine') facts.made += count;
}

async function bring({ shop, words }: World, facts: Facts, codes: string[]) {
  const forms = new Set(codes.map(spelled));
  const isWrongList = codes.length === 0 || forms.size < codes.length;
  const isKnown = [...forms].some((form) => words.has(form));
  let verdict: Verdict = isWrongList ? 'BAD_USER_INPUT' : opens(facts, codes.length);
  if (verdict === 'fine' && isKnown) verdict = 'BAD_USER_INPUT';
  await expectVerdict(verdict, () =>
    importCodes(deps, { programId: shop.programId, poolId: facts.id, codes }),
  );
  if (verdict !== 'fine') return;
  facts.made += codes.length;
  for (const form of forms) words.add(form);
}

const arrows = {
  activate: { run: activatePool, from: ['DRAFT'], to: 'ACTIVE' },
  pause: { run: pausePool, from: ['ACTIVE'], to: 'PAUSED' },
  resume: { run: resumePool, from: ['PAUSED'], to: 'ACTIVE' },
  archive: { run: archivePool, from: ['ACTIVE', 'PAUSED'], to: 'ARCHIVED' },
} as const;

async function move({ shop }: World, facts: Facts, name: keyof typeof arrows) {
  const { run, from, to } = arrows[name];
  const isArrow = (from as readonly string[]).includes(facts.status);
  const hasCodes = name !== 'activate' || facts.made > 0 || facts.topUp;
  const verdict = isArrow && hasCodes ? 'fine' : 'CONFLICT';
  await expectVerdict(verdict, () => run(deps, { programId: shop.programId, poolId: facts.id }));
  if (verdict === 'fine') facts.status = to;
}

async function claim({ shop, members }: World, facts: Facts, member: number) {
  const memberId = members[member % members.length] as string;
  const ask = () => shop.claim(facts.id, { memberId });
  const holds = facts.holders.has(member % members.length);
  if (holds) return expect(await ask()).toMatchObject({ ok: true, alreadyClaimed: true });
  const free = facts.made - facts.holders.size;
  const mints = facts.topUp && room(facts) > 0;
  if (facts.status !== 'ACTIVE') expect(await shop.refused(ask)).toBe('POOL_NOT_ISSUING');
  else if (free === 0 && !mints) expect(await shop.refused(ask)).toBe('POOL_EXHAUSTED');
  else {
    expect(await ask()).toMatchObject({ ok: true, alreadyClaimed: false });
    if (free === 0) facts.made += Math.min(500, room(facts));
    facts.holders.add(member % members.length);
  }
}

async function perform(world: World, step: Step): Promise<unknown> {
  if (step.do === 'create') return create(world, step.settings);
  const facts = world.pools[step.pool % Math.max(1, world.pools.length)];
  if (!facts) return;
  if (step.do === 'update') return update(world, facts, step.settings);
  if (step.do === 'generate') return generate(world, facts, step.count);
  if (step.do === 'import') return bring(world, facts, step.codes);
  if (step.do === 'claim') return claim(world, facts, step.member);
  return move(world, facts, step.do);
}

async function expectSameState({ shop, pools }: World) {
  const { programId } = shop;
  const ids = pools.map(({ id }) => id);
  const stats = await statsOfPools(deps, { programId, ids });
  const rows = await deps.db.pool.findMany({ where: { programId } });
  expect(rows).toHaveLength(pools.length);
  for (const [i, facts] of pools.entries()) {
    const allocated = facts.holders.size;
    const available = facts.made - allocated;
    const counts = { generated: facts.made, available, allocated, redeemed: 0, revoked: 0 };
    expect(stats[i]).toEqual(counts);
    expect(rows.find(({ id }) => id === facts.id)?.status).toBe(facts.status);
    if (facts.status !== 'ACTIVE')
      expect(await topUpPool(deps, { programId, poolId: facts.id })).toBe(0);
  }
}

test(
  'whatever is done with pools, every answer and count is that of a small model',
  async () => {
    const run = fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 50 }),
      async (steps) => {
        const shop = await openShop(deps);
        const members = [await shop.member(), await shop.member(), await shop.member()];
        const world: World = {
          shop,
          pools: [],
          words: new Set(),
          members: members.map(({ id }) => id),
        };
        for (const each of steps) await perform(world, each);
        await expectSameState(world);
      },
    );
    await fc.assert(run, { numRuns: rounds(8, 200), seed, interruptAfterTimeLimit: LIMIT_MS });
  },
  LIMIT_MS + 60_000,
);
