import { expect, test } from 'vitest';
import { couponAdvisor } from '../../src/marketing/index.ts';
import { advanceClock, updateProgram } from '../../src/programs/index.ts';
import { startApi } from '../support/api.ts';
import { testDeps } from '../support/database.ts';
import { aProgram } from '../support/factories.ts';
import { suggestion, withModel } from '../support/model-scene.ts';
import { aModelServer, says } from '../support/model-server.ts';
import { openShop } from '../support/shop.ts';
import { snapshot } from '../support/snapshot.ts';
import { aKey, aWorld } from '../support/world.ts';

const deps = await testDeps();
const api = await startApi(deps);
const world = await aWorld(deps);
const { programId, secretKey } = world;

const DRAFT = `name discountKind discountValue maxDiscount minOrderAmount endsAt perMemberLimit
  suggestedCount`;
const REPORT = `{ couponAdvisor { source reason
  facts { asOf averageOrder cuts { days share growth }
    pools { pool { id name status discountKind discountValue maxDiscount minOrderAmount prefix
        startsAt endsAt perMemberLimit minTier { id rank name } exhaustion maxCodes stackable
        createdAt }
      issued redeemed redemptionRate discountGiven orderRevenue marginImpact share growth quadrant }
    segments { name members revenue tier { id name } purchasedWithinDays notPurchasedForDays
      minSpent maxSpent } }
  suggestions { id title rationale segment draft { ${DRAFT} } } } }`;
const ADOPT = `mutation ($id: ID!) { adoptSuggestion(id: $id) { ${DRAFT} } }`;

const { secretKey: adviceKey } = await aKey(deps, { programId, scopes: ['ADVISOR_READ'] });

test('every field of a report answers, to a key with nothing but ADVISOR_READ', async () => {
  const before = await snapshot(deps.db);
  const { couponAdvisor } = await api.data(adviceKey, REPORT);
  expect(couponAdvisor).toMatchObject({ source: 'RULES', reason: 'No language model is set.' });
  const { facts, suggestions } = couponAdvisor;
  expect(facts).toMatchObject({
    asOf: '2021-01-01T12:00:00.000Z',
    averageOrder: 5_000,
    cuts: { days: 30, share: 10_000, growth: 1_000 },
  });
  const of = (id: string) =>
    facts.pools.find(({ pool }: { pool: { id: string } }) => pool.id === id);
  expect(of(world.pool.id)).toMatchObject({
    pool: { status: 'ACTIVE', minTier: null },
    issued: 2,
    redeemed: 1,
    redemptionRate: 5_000,
    discountGiven: 500,
    orderRevenue: 5_000,
    marginImpact: 1_000,
    quadrant: 'STAR',
  });
  expect(of(world.draft.id)).toMatchObject({ issued: 0, quadrant: 'QUESTION_MARK' });
  expect(facts.segments).toEqual([
    expect.objectContaining({ name: 'Everyone', members: 1, tier: null }),
    expect.objectContaining({
      name: 'Member, never bought',
      tier: expect.objectContaining({ name: 'Member' }),
      maxSpent: 0,
    }),
  ]);
  expect(suggestions.length).toBeGreaterThan(0);
  expect(await snapshot(deps.db)).toEqual(before);
});

test('what is not beside the facts needs its own scope', async () => {
  const deeper = '{ couponAdvisor { facts { pools { pool { stats { generated } } } } } }';
  const answer = await api.query(adviceKey, deeper);
  expect(answer.status).toBe(403);
  expect(answer.body.errors?.[0]?.message).toContain('POOLS_READ');
});

test('a suggestion is adopted as its draft, writes nothing, and makes a pool when somebody says so', async () => {
  const { couponAdvisor } = await api.data(secretKey, REPORT);
  for (const { id, draft } of couponAdvisor.suggestions) {
    const before = await snapshot(deps.db);
    const { adoptSuggestion } = await api.data(adviceKey, ADOPT, { id });
    expect(adoptSuggestion).toEqual(draft);
    expect(await snapshot(deps.db)).toEqual(before);
    const { suggestedCount: count, ...input } = adoptSuggestion;
    const made = await api.data(
      secretKey,
      'mutation ($input: PoolInput!) { createPool(input: $input) { id status endsAt } }',
      { input },
    );
    expect(made.createPool).toMatchObject({ status: 'DRAFT', endsAt: draft.endsAt });
    const generated = await api.data(
      secretKey,
      'mutation ($id: ID!, $count: Int!) { generateCodes(poolId: $id, count: $count) { count } }',
      { id: made.createPool.id, count },
    );
    expect(generated.generateCodes.count).toBe(count);
  }
  const again = await api.data(secretKey, REPORT);
  const titles = ({ suggestions }: { suggestions: { draft: { minOrderAmount: number } }[] }) =>
    suggestions.map(({ draft }) => JSON.stringify({ ...draft, name: '' }));
  for (const offer of titles(again.couponAdvisor))
    expect(titles(couponAdvisor)).not.toContain(offer);
});

test('an id of another program, a mangled one, or none at all is NOT_FOUND', async () => {
  const other = await aProgram(deps);
  const { couponAdvisor } = await api.data(other.secretKey, REPORT);
  const [{ id }] = couponAdvisor.suggestions;
  expect((await api.query(other.secretKey, ADOPT, { id })).status).toBe(200);
  for (const foreign of [id, `${id}A`, id.slice(0, -1), world.pool.id, '', 'x'.repeat(10_000)]) {
    const answer = await api.query(secretKey, ADOPT, { id: foreign });
    expect(answer.status).toBe(404);
    expect(answer.body.errors?.[0]?.extensions).toMatchObject({ code: 'NOT_FOUND', field: 'id' });
    if (foreign) expect(answer.text).not.toContain(foreign);
  }
});

test('a suggestion is gone when its offer would have ended', async () => {
  const { programId: other, secretKey: key } = await aProgram(deps);
  const { couponAdvisor } = await api.data(key, REPORT);
  const [{ id, draft }] = couponAdvisor.suggestions;
  const end = new Date(draft.endsAt);
  await advanceClock(deps, { programId: other, to: new Date(end.getTime() - 1) });
  expect((await api.query(key, ADOPT, { id })).status).toBe(200);
  await advanceClock(deps, { programId: other, to: end });
  expect((await api.query(key, ADOPT, { id })).status).toBe(404);
});

test('a suggestion above a rate that was lowered meanwhile cannot be adopted', async () => {
  const { programId: other, secretKey: key } = await aProgram(deps);
  const server = await aModelServer();
  const talking = withModel(deps, server);
  const said = [
    { discountValue: 2_000 },
    { discountKind: 'AMOUNT', discountValue: 500, minOrderAmount: 2_500 },
    { discountKind: 'GIFT', discountValue: 0 },
  ];
  server.answers(says({ suggestions: said.map((draft) => suggestion(draft)) }));
  const shop = await openShop(deps, { programId: other });
  const pool = await shop.pool(1);
  const { plaintext } = await shop.claimed(pool.id, { email: 'a@x.example' });
  await shop.redeemed(plaintext, 'o-1', { orderAmount: 4_000 });
  const { suggestions } = await couponAdvisor(talking, { programId: other });
  const adopted = async (maxDiscountRate: number) => {
    await updateProgram(deps, { programId: other, settings: { maxDiscountRate } });
    const answers = await Promise.all(suggestions.map(({ id }) => api.query(key, ADOPT, { id })));
    return answers.map(({ status, body }) => (status === 409 ? body.errors?.[0]?.message : status));
  };
  const lowered = 'maxDiscountRate was lowered below this offer: ask the advisor anew';
  expect(await adopted(2_000)).toEqual([200, 200, 200]);
  expect(await adopted(1_999)).toEqual([lowered, lowered, 200]);
  expect(await adopted(0)).toEqual([lowered, lowered, 200]);
  expect(await adopted(2_000)).toEqual([200, 200, 200]);
});

test('the model speaks through the API, and its words are told', async () => {
  const server = await aModelServer();
  server.answers(says({ suggestions: [suggestion()] }));
  const talking = await startApi(withModel(deps, server));
  const { couponAdvisor } = await talking.data(secretKey, REPORT);
  expect(couponAdvisor).toMatchObject({ source: 'MODEL', reason: null });
  expect(couponAdvisor.suggestions).toHaveLength(1);
  expect(couponAdvisor.suggestions[0]).toMatchObject({
    title: 'Win back those who left',
    draft: { discountValue: 1_500, endsAt: '2021-03-01T00:00:00.000Z' },
  });
});

test('a document may ask for a few reports, not for a hundred', async () => {
  const reports = (count: number) =>
    `{ ${Array.from({ length: count }, (_, i) => `r${i}: couponAdvisor { source }`).join(' ')} }`;
  expect((await api.query(secretKey, reports(9))).status).toBe(200);
  const answer = await api.query(secretKey, reports(10));
  expect(answer.body.errors?.[0]?.extensions.code).toBe('GRAPHQL_VALIDATION_FAILED');
});
