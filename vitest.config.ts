import { defineConfig } from 'vitest/config';
import { torture } from './test/support/seed.ts';

/** Not how long a test takes, but after how long it has hung, on a machine that stood still. */
const HUNG_MS = torture ? 3_600_000 : 120_000;
const browser = process.env.FLASH_TEST_BROWSER === '1';

export default defineConfig({
  // Node gives its libraries the CommonJS build; Vite would pick the other one for our own files,
  // and two builds of graphql do not know each other's types.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    // `npm test` needs nothing but Node. What needs a browser is `npm run test:browser`.
    include: [browser ? 'test/browser/*.test.ts' : 'test/!(browser)/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    reporters: ['default', './test/support/torture-reporter.ts'],
    pool: 'forks',
    // The files of a worker share their modules: to load the engine anew for each of them took a
    // quarter of the run. Each file still has its own database.
    isolate: false,
    setupFiles: 'test/support/each-file.ts',
    maxWorkers: 3,
    testTimeout: HUNG_MS,
    hookTimeout: HUNG_MS,
  },
});
