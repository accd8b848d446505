/** The playground's subscriptions, in a real browser. */
import { expect, test } from 'vitest';
import { startApi } from '../support/api.ts';
import { startBrowser } from '../support/browser.ts';
import { testDeps } from '../support/database.ts';
import { aMember } from '../support/factories.ts';
import { aSandbox } from '../support/sandbox.ts';

test('a subscription in the playground shows events as they happen', {
  timeout: 120_000,
}, async () => {
  const plain = await testDeps();
  const sandbox = await aSandbox(plain);
  const own = { embedded: true, sandboxKey: sandbox.secretKey };
  const deps = { ...plain, config: { ...plain.config, ...own } };
  const { url } = await startApi(deps);
  const page = await (await startBrowser()).newPage();
  const errors: string[] = [];
  page.on('console', (line) => void (line.type() === 'error' && errors.push(line.text())));
  await page.goto(`${url}/graphql`);
  const editor = page.locator('.graphiql-query-editor .monaco-editor').first();
  await editor.waitFor({ state: 'attached' });
  await page.locator('.result-window .monaco-editor').first().waitFor({ state: 'attached' });
  await editor.click();
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.insertText('subscription Live { events { type } }');
  await page.waitForTimeout(1_000);
  await page.getByRole('button', { name: /^Execute query/ }).click();
  const shown = page.locator('.result-window .view-lines');
  const giveUpAt = performance.now() + 60_000;
  let text = '';
  while (!text.includes('member.created') && performance.now() < giveUpAt) {
    await aMember(deps, { programId: sandbox.programId });
    await page.waitForTimeout(500);
    text = (await shown.innerText()).replace(/\u00a0/g, ' ');
  }
  expect(text).toContain('member.created');
  expect(errors).toEqual([]);
});
