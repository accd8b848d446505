import { expect, test } from 'vitest';
import { seedSandbox } from '../../src/seed.ts';
import { startApi } from '../support/api.ts';
import { testDeps } from '../support/database.ts';

test('an embedded database begins with a sandbox, a member and a pool that issues', async () => {
  const deps = await testDeps();
  const api = await startApi(deps);
  const { programId, secretKey } = await seedSandbox(deps);
  const data = await api.data(
    secretKey,
    `{ program { id name sandbox } member(externalId: "ada") { email emailVerified }
      pools { nodes { name status discountKind discountValue stats { available } } } }`,
  );
  expect(data).toEqual({
    program: { id: programId, name: 'Sandbox', sandbox: true },
    member: { email: 'ada@example.com', emailVerified: true },
    pools: {
      nodes: [
        {
          name: 'Welcome 10 %',
          status: 'ACTIVE',
          discountKind: 'PERCENT',
          discountValue: 1_000,
          stats: { available: 100 },
        },
      ],
    },
  });
});
