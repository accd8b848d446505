/** A shop, an engine that asks a model about it, and the model's server. */
import { expect } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import { couponAdvisor } from '../../src/marketing/index.ts';
import { problemsOfReport } from './advice.ts';
import { testDeps } from './database.ts';
import { type Answering, aModelServer, type ModelServer } from './model-server.ts';
import { openShop, START } from './shop.ts';

export const DRAFT = {
  name: 'Come back',
  discountKind: 'PERCENT',
  discountValue: 1_500,
  maxDiscount: 2_000,
  minOrderAmount: 3_000,
  endsAt: '2021-03-01T00:00:00Z',
  perMemberLimit: 2,
  suggestedCount: 50,
};

/** What a good model would say of that shop, unless told otherwise. */
export const suggestion = (
  draft: Record<string, unknown> = {},
  told: Record<string, unknown> = {},
) => ({
  title: 'Win back those who left',
  rationale: 'Nobody makes them an offer: the only pool is for everyone.',
  segment: 'Everyone',
  draft: { ...DRAFT, ...draft },
  ...told,
});

/** The same engine, told of this model. */
export const withModel = (
  deps: Deps,
  { model, patienceMs }: Pick<ModelServer, 'model' | 'patienceMs'>,
): Deps => ({
  ...deps,
  config: { ...deps.config, advisor: model, advisorPatienceMs: patienceMs },
});

/** One order of 100.00, so that an amount off can be 30.00; a member, and a pool of 10 %. */
export async function aModelScene() {
  // A clock that stands still: nothing takes long, so no facts are kept for the next question.
  const plain = await testDeps({ clock: { now: () => START } });
  const server = await aModelServer();
  const shop = await openShop(plain);
  const pool = await shop.pool(3, { name: 'Ten per cent' });
  await shop.member();
  const { plaintext } = await shop.claimed(pool.id, { email: 'guest@example.com' });
  await shop.redeemed(plaintext, 'o-1', { orderAmount: 10_000 });
  const { programId } = shop;
  /** A report, which is a valid one whatever was answered. */
  const report = async (of: Deps = withModel(plain, server), isMade = () => {}) => {
    const made = await couponAdvisor(of, { programId });
    isMade();
    const problems = await problemsOfReport(of, { programId, report: made });
    await plain.db.pool.deleteMany({ where: { programId, codes: { none: {} } } });
    expect(problems).toEqual([]);
    return made;
  };
  const answered = async (answering: Answering) => {
    server.answers(answering);
    return report();
  };
  return { plain, server, programId, report, answered };
}
