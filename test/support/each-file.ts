/** Runs before each test file, see vitest.config.ts: the hooks of what the support opens. */
import { afterAll, afterEach } from 'vitest';
import { closeAll } from './end-of-file.ts';
import { rollBackAll } from './sessions.ts';

afterEach(rollBackAll);
afterAll(closeAll);
