/** A real browser: Debian's Chromium, or the one that CHROMIUM_PATH names. */
import { existsSync } from 'node:fs';
import process from 'node:process';
import { type Browser, chromium, type Page, type Request } from 'playwright-core';
import { atEndOfFile } from './end-of-file.ts';

const PROGRAM = process.env.CHROMIUM_PATH || '/usr/bin/chromium';
const QUIET = ['--no-first-run', '--disable-background-networking', '--disable-component-update'];

/** Throws where there is none: a test that was skipped would look like one that passed. */
export async function startBrowser(): Promise<Browser> {
  if (!existsSync(PROGRAM)) {
    throw new Error(
      `${PROGRAM} is missing: install it with \`apt-get install chromium\`, or name another ` +
        'Chromium with CHROMIUM_PATH',
    );
  }
  const browser = await chromium.launch({
    executablePath: PROGRAM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-sync', ...QUIET],
  });
  atEndOfFile(() => browser.close());
  return browser;
}

export type Watch = {
  /** Console errors (a violated Content-Security-Policy is one) and what nobody caught. */
  errors: string[];
  requests: Request[];
};

/** Everything that goes wrong on a page, and everything that it asks for. */
export function watch(page: Page): Watch {
  const seen: Watch = { errors: [], requests: [] };
  page.on('console', (message) => {
    if (message.type() === 'error') seen.errors.push(message.text());
  });
  page.on('pageerror', (error) => seen.errors.push(error.stack ?? String(error)));
  page.on('request', (request) => seen.requests.push(request));
  return seen;
}
