/** The door of the room: what others may use of it. */
export { advanceClock, assertMayAdvance } from './advance-clock.ts';
export { authenticate } from './authenticate.ts';
export { createMemberToken } from './create-member-token.ts';
export { createProgram } from './create-program.ts';
export { createSecretKey } from './create-secret-key.ts';
export { maskKey } from './key-text.ts';
export { getProgram, listSecretKeys, listTiers, programNow, tiersByIds } from './queries.ts';
export { revokeSecretKey } from './revoke-secret-key.ts';
export { setTiers } from './set-tiers.ts';
export type {
  Caller,
  Program,
  ProgramInput,
  Scope,
  SecretKey,
  SettingsInput,
  Tier,
  TierInput,
} from './types.ts';
export { updateProgram } from './update-program.ts';
