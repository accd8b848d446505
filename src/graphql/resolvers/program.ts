import type { Resolvers } from '../../generated/graphql.ts';
import type { MemberId, ProgramId } from '../../kernel/ids.ts';
import {
  createMemberToken,
  createProgram,
  createSecretKey,
  getProgram,
  listSecretKeys,
  listTiers,
  maskKey,
  type Program,
  programNow,
  revokeSecretKey,
  setTiers,
  updateProgram,
} from '../../programs/index.ts';
import { advanceClock } from '../../workers/index.ts';
import { ownProgram } from '../loaders.ts';
import { memberNamed } from './input.ts';

/** The root key, too, reads the program that it has just created: so not the caller's own. */
const of = (program: Program) => ({ programId: program.id as ProgramId });

export const programResolvers = {
  Query: {
    program: (_, __, { deps, caller }) => getProgram(deps, { programId: ownProgram(caller) }),
    secretKeys: (_, __, { deps, caller }) =>
      listSecretKeys(deps, { programId: ownProgram(caller) }),
  },
  Mutation: {
    createProgram: (_, { input }, { deps }) => createProgram(deps, { input }),
    updateProgram: (_, { settings }, { deps, caller }) =>
      updateProgram(deps, { programId: ownProgram(caller), settings }),
    setTiers: (_, { tiers }, { deps, caller }) =>
      setTiers(deps, { programId: ownProgram(caller), tiers }),
    advanceClock: (_, { to }, { deps, caller }) =>
      advanceClock(deps, { programId: ownProgram(caller), to }),
    createMemberToken: (_, { memberId: id, ttlSeconds }, context) => {
      const programId = ownProgram(context.caller);
      const memberId = memberNamed(context, { id, field: 'memberId' }) as MemberId;
      return createMemberToken(context.deps, { programId, memberId, ttlSeconds });
    },
    createSecretKey: (_, args, { deps, caller }) => createSecretKey(deps, { caller, ...args }),
    revokeSecretKey: (_, { id }, { deps, caller }) =>
      revokeSecretKey(deps, { programId: ownProgram(caller), id }),
  },
  Program: {
    now: (program, _, { deps }) => programNow(deps, of(program)),
    baseRate: (program) => program.baseRate.toFixed(),
    minAmount: (program) => Number(program.minAmount),
    dailyCap: (program) => (program.dailyCap === null ? null : Number(program.dailyCap)),
    reupgradeBonus: (program) => Number(program.reupgradeBonus),
    birthdayBonus: (program) => Number(program.birthdayBonus),
    reengagementBonus: (program) => Number(program.reengagementBonus),
    pointValue: (program) => program.pointValue.toFixed(),
    tiers: (program, _, { deps }) => listTiers(deps, of(program)),
  },
  Tier: {
    qualifyPoints: (tier) => Number(tier.qualifyPoints),
    maintainPoints: (tier) => Number(tier.maintainPoints),
  },
  SecretKey: { masked: (key) => maskKey(key) },
} satisfies Resolvers;
