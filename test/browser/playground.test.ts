import type { BrowserContext, Page, Request } from 'playwright-core';
import { expect, test } from 'vitest';
import type { Config } from '../../src/config.ts';
import { buildServer } from '../../src/graphql/server.ts';
import { type Body, startApi } from '../support/api.ts';
import { startBrowser, watch } from '../support/browser.ts';
import { testDeps } from '../support/database.ts';
import { aSandbox, type Sandbox } from '../support/sandbox.ts';

const PATIENCE = { timeout: 60_000 };

let opened: Promise<BrowserContext> | undefined;

/** Not in a beforeAll: without a browser each test is to fail, and none to count as skipped. */
function browsing(): Promise<BrowserContext> {
  opened ??= startBrowser().then((browser) =>
    browser.newContext({
      viewport: { width: 1440, height: 900 },
      permissions: ['clipboard-read', 'clipboard-write'],
    }),
  );
  return opened;
}

async function embedded(config: Partial<Config> = {}) {
  const plain = await testDeps();
  const sandbox = await aSandbox(plain);
  const own = { embedded: true, sandboxKey: sandbox.secretKey, ...config };
  return { sandbox, deps: { ...plain, config: { ...plain.config, ...own } } };
}

async function visit(url: string): Promise<{ page: Page } & ReturnType<typeof watch>> {
  const page = await (await browsing()).newPage();
  const seen = watch(page);
  await page.goto(`${url}/graphql`);
  await untilReady(page);
  return { page, ...seen };
}

/** Until the editors are drawn, its button does nothing. */
async function untilReady(page: Page): Promise<void> {
  for (const editor of ['.graphiql-query-editor', '.graphiql-editor-tool', '.result-window'])
    await page.locator(`${editor} .monaco-editor`).first().waitFor({ state: 'attached' });
}

/** Whether it asks the API for the operation of this name. */
const asks = (name: string) => (request: Request) =>
  request.method() === 'POST' &&
  new RegExp(`\\b(query|mutation) ${name}\\b`).test(queryOf(request));
const queryOf = (request: Request): string => request.postDataJSON().query;

/** Runs a tab by its button, as a reader does. */
async function run(page: Page, name: string): Promise<{ body: Body; request: Request }> {
  await page.getByTitle(name, { exact: true }).click();
  const [response] = await Promise.all([
    page.waitForResponse((one) => asks(name)(one.request())),
    page.getByRole('button', { name: /^Execute query/ }).click(),
  ]);
  const body = (await response.json()) as Body;
  return { body, request: response.request() };
}

const shown = (page: Page) => page.locator('.result-window .view-lines');

test('every step works as it stands, and nobody else is asked for anything', PATIENCE, async () => {
  const { sandbox, deps } = await embedded();
  const { url } = await startApi(deps);
  const { page, errors, requests } = await visit(url);
  expect(await page.title()).toBe('Flash playground');

  const program = await run(page, 'Program');
  expect(program.body.data.pools.nodes).toMatchObject([{ id: sandbox.poolId, status: 'ACTIVE' }]);
  await shown(page).getByText('Welcome').waitFor();
  await expectOwnPool(page);
  const redeemed = await expectOneCode(page);
  const statistics = await run(page, 'PoolStatistics');
  expect(statistics.body.data.pool).toMatchObject({
    stats: { generated: 50, available: 49, allocated: 0, redeemed: 1, revoked: 0 },
    codes: { nodes: [{ member: { externalId: 'ada' }, redemption: { orderId: redeemed } }] },
  });
  await expectAnotherMember(page);

  // The browser itself remarks that a pool was activated twice; nothing else went wrong.
  expect(errors).toEqual([expect.stringContaining('409 (Conflict)')]);
  const asked = requests.map((one) => new URL(one.url()));
  const foreign = asked.filter(({ protocol, origin }) => protocol !== 'data:' && origin !== url);
  expect(foreign).toEqual([]);
  await page.close();
});

/** Made, filled and opened, each step going on with the pool of the step before. */
async function expectOwnPool(page: Page): Promise<void> {
  const created = await run(page, 'CreatePool');
  const { id } = created.body.data.createPool;
  const generated = await run(page, 'GenerateCodes');
  expect(generated.body.data.generateCodes.pool.stats).toEqual({ generated: 50, available: 50 });
  const activated = await run(page, 'ActivatePool');
  expect(activated.body.data.activatePool).toMatchObject({ id, status: 'ACTIVE' });
  const again = await run(page, 'ActivatePool');
  expect(again.body.errors?.[0]?.extensions.code).toBe('CONFLICT');
}

/** Claimed twice and redeemed twice, it stays one code, spent on the one order that is answered. */
async function expectOneCode(page: Page): Promise<string> {
  const first = (await run(page, 'ClaimCode')).body.data.claimCode;
  const second = (await run(page, 'ClaimCode')).body.data.claimCode;
  expect([first.alreadyClaimed, second.alreadyClaimed]).toEqual([false, true]);
  expect(second.plaintext).toBe(first.plaintext);
  expect(first.code).toMatchObject({
    member: { externalId: 'ada' },
    pool: { name: 'Spring 15 %' },
  });
  const redeemed = (await run(page, 'RedeemCode')).body.data.redeemCode;
  expect(redeemed).toMatchObject({ alreadyRedeemed: false, redemption: { discountAmount: 1948 } });
  const twice = (await run(page, 'RedeemTwice')).body.data;
  expect(twice.first).toMatchObject({ alreadyRedeemed: true });
  expect(twice.second).toMatchObject({ __typename: 'Refusal', reason: 'CODE_ALREADY_REDEEMED' });
  return redeemed.redemption.orderId;
}

async function expectAnotherMember(page: Page): Promise<void> {
  const member = (await run(page, 'UpsertMember')).body.data.upsertMember;
  expect(member).toMatchObject({ externalId: 'grace', wallet: [] });
  const token = await run(page, 'MemberToken');
  expect(token.body.data.createMemberToken).toMatch(/^ey/);
  expect(token.request.postDataJSON().variables.memberId).toBe(member.id);
  const claimed = (await run(page, 'ClaimCode')).body.data.claimCode;
  expect(claimed).toMatchObject({
    alreadyClaimed: false,
    code: { member: { externalId: 'grace' } },
  });
}

test(
  "another database at the same address: its own key and ids, and nothing of the first one's",
  PATIENCE,
  async () => {
    const first = await embedded();
    const before = await buildServer(first.deps);
    const url = await before.listen({ port: 0, host: '127.0.0.1' });
    const visited = await visit(url);
    await run(visited.page, 'Program');
    await run(visited.page, 'ClaimCode');
    await plantTabs(visited.page, first.sandbox);
    await before.close();

    const second = await embedded();
    const after = await buildServer(second.deps);
    await after.listen({ port: Number(new URL(url).port), host: '127.0.0.1' });
    await visited.page.reload();
    await untilReady(visited.page);
    await expectSandbox(visited.page, second.sandbox);
    const fresh = await visit(url);
    await expectSandbox(fresh.page, second.sandbox);
    expect(fresh.errors).toEqual([]);
    await after.close();
    await visited.page.close();
    await fresh.page.close();
  },
);

/** What GraphiQL keeps when it is left to itself, under the names that it uses. */
async function plantTabs(page: Page, { secretKey, poolId }: Sandbox): Promise<void> {
  const kept = await page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }])');
  expect(kept).not.toContain(secretKey);
  expect(kept).not.toContain(poolId);
  expect(kept).not.toContain('PCT-');
  const headers = JSON.stringify({ Authorization: `Bearer ${secretKey}` });
  const variables = JSON.stringify({ input: { poolId } });
  const tab = { id: 'a', title: 'ClaimCode', query: '{ a }', variables, headers, response: null };
  const tabState = { activeTabIndex: 0, tabs: [{ ...tab, operationName: null }] };
  const stored = { headers, variables, query: '{ a }', tabState: JSON.stringify(tabState) };
  for (const [name, value] of Object.entries(stored)) {
    const item = JSON.stringify([`graphiql:${name}`, value]);
    await page.evaluate(`localStorage.setItem(...${item}), sessionStorage.setItem(...${item})`);
  }
}

async function expectSandbox(page: Page, { secretKey, poolId, memberId }: Sandbox): Promise<void> {
  const { body, request } = await run(page, 'ClaimCode');
  expect(request.headers().authorization).toBe(`Bearer ${secretKey}`);
  expect(request.postDataJSON().variables).toEqual({ input: { poolId, memberId } });
  expect(body.data.claimCode).toMatchObject({ code: { member: { externalId: 'ada' } } });
}

test(
  'with servers of your own it waits for a key, and one that is pasted counts in every tab',
  PATIENCE,
  async () => {
    const { sandbox, deps } = await embedded({ embedded: false });
    const { url } = await startApi(deps);
    const { page, errors, requests } = await visit(url);
    await shown(page).getByText('No key yet').waitFor();
    expect(requests.filter((one) => one.method() === 'POST')).toEqual([]);
    expect(await page.content()).not.toContain('flash_sk_');

    await page.locator('.graphiql-editor-tool .view-lines:visible').click();
    await page.keyboard.press('ControlOrMeta+A');
    const headers = JSON.stringify({ Authorization: `Bearer ${sandbox.secretKey}` });
    await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(headers)})`);
    await Promise.all([
      page.waitForResponse((one) => asks('IntrospectionQuery')(one.request())),
      page.keyboard.press('ControlOrMeta+V'),
    ]);
    const created = await run(page, 'CreatePool');
    expect(created.body.data.createPool).toMatchObject({ status: 'DRAFT' });
    await page.getByRole('button', { name: 'New tab' }).click();
    const program = await run(page, 'Program');
    expect(program.body.data.pools.nodes).toHaveLength(2);
    expect(errors).toEqual([]);
    await page.close();
  },
);
