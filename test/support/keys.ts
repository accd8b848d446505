/** The same in every run, so that what a test finds encrypted can be told apart by eye. */
export const testKeys = {
  FLASH_ROOT_KEY: 'test-root-key-0123456789abcdefghij',
  FLASH_ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 1).toString('base64')}`,
  FLASH_LOOKUP_KEYS: `l1:${Buffer.alloc(32, 2).toString('base64')}`,
  FLASH_TOKEN_SECRET: 'test-token-secret-0123456789abcdefghij',
} as const;
