/** Campaigns as a client lists them: the same few statements, whatever the size of the page. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { beforeAll, expect, test } from 'vitest';
import type { ProgramId } from '../../src/kernel/ids.ts';
import { startApi } from '../support/api.ts';
import { testDeps } from '../support/database.ts';
import { aPool, aProgram } from '../support/factories.ts';
import { openMailing } from '../support/mailing.ts';
import { manyMembers } from '../support/scenes.ts';
import { sessions } from '../support/sessions.ts';
import { openShop } from '../support/shop.ts';
import { countStatements } from '../support/statements.ts';
import { until } from '../support/until.ts';

const deps = await testDeps();
const api = await startApi(deps);
let programId: ProgramId;
let secretKey: string;
let campaignId: string;

beforeAll(async () => {
  ({ programId, secretKey } = await aProgram(deps));
  const mailing = await openMailing(deps, await openShop(deps, { programId }));
  const { id: poolId } = await aPool(deps, { programId, codes: 60 });
  const members = await manyMembers(deps, { programId, count: 60 });
  const recipients = members.map((memberId) => ({ memberId }));
  campaignId = (await mailing.create(poolId, recipients)).id;
  await mailing.issue(campaignId);
  for (let more = 50; more > 0; more--) await mailing.create(poolId);
  const rows = await mailing.recipients(campaignId);
  await deps.db.ownershipConflict.createMany({
    data: rows.map(({ codeId, memberId }, i) => ({
      ...{ programId, codeId: codeId as string, ownerId: memberId as string },
      ...{ otherId: members[(i + 1) % 60] as string, at: new Date(0) },
    })),
  });
});

const LISTS: [string, string][] = [
  [
    'campaigns',
    `query ($first: Int!) { page: campaigns(first: $first) { nodes {
      id status pool { id stats { available } }
    } } }`,
  ],
  [
    'recipients with their codes',
    `query ($first: Int!, $id: ID!) { campaign(id: $id) { recipientList(first: $first) { nodes {
      id member { id tier { name } } refusal
      code { id plaintext pool { id } batch { id } member { id } redemption { orderId } }
    } } } }`,
  ],
  [
    'conflicts of ownership',
    `query ($first: Int!) { page: ownershipConflicts(first: $first) { nodes {
      id owner { id } other { id } code { id pool { id } member { id } }
    } } }`,
  ],
];

test.each(LISTS)('a page of 50 %s takes as many statements as one of 1', async (_, document) => {
  const page = async (first: number) => {
    const { page, campaign } = await api.data(secretKey, document, { first, id: campaignId });
    expect((page ?? campaign.recipientList).nodes).toHaveLength(first);
  };
  await page(3); // what is once a minute
  const few = await countStatements(() => page(1));
  expect(few).toBeGreaterThan(1);
  expect(await countStatements(() => page(50))).toBe(few);
});

test('an audience is added once at a time, and no further when the client has hung up', async () => {
  const program = await aProgram(deps);
  await manyMembers(deps, { programId: program.programId, count: 5_100 });
  const mailing = await openMailing(deps, await openShop(deps, program));
  const { id } = await mailing.create((await mailing.draft(0)).id);
  const document = `mutation ($id: ID!) {
    addAudience(campaignId: $id, audience: { withoutCodeOfPool: false }) { recipients } }`;
  const [holder] = await sessions(deps.config.databaseUrl, 1);
  await holder?.begin();
  await holder?.query('SELECT id FROM campaigns WHERE id = $1 FOR UPDATE', [id]);
  const leases = () => deps.db.lease.count({ where: { programId: program.programId } });
  const hangUp = new AbortController();
  // The server's end of the connection: nothing else says when it has noticed.
  let socket: Socket | undefined;
  const seen = (message: unknown) => {
    socket ??= (message as { socket: Socket }).socket;
  };
  subscribe('http.server.request.start', seen);
  const asking = fetch(`${api.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${program.secretKey}`,
    },
    body: JSON.stringify({ query: document, variables: { id } }),
    signal: hangUp.signal,
  }).catch((error: Error) => error.name);
  await until(async () => (await leases()) === 1);
  unsubscribe('http.server.request.start', seen);
  const { body } = await api.query(program.secretKey, document, { id });
  expect(body.errors?.[0]?.extensions.code).toBe('CONFLICT');
  hangUp.abort();
  expect(await asking).toBe('AbortError');
  await until(() => socket?.destroyed);
  await holder?.commit();
  await until(async () => (await leases()) === 0);
  expect(await mailing.campaign(id)).toMatchObject({ recipients: 5_000 });
  const again = await api.data(program.secretKey, document, { id });
  expect(again.addAudience.recipients).toBe(5_100);
});
