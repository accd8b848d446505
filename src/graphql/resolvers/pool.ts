import {
  activatePool,
  archivePool,
  cancelCodeJob,
  codeJobById,
  createPool,
  generateCodes,
  generateCodesJob,
  importCodes,
  importCsv,
  listCodes,
  listPools,
  type PoolRef,
  pausePool,
  resumePool,
  updatePool,
} from '../../coupons/index.ts';
import type { Resolvers } from '../../generated/graphql.ts';
import { type JobId, type PoolId, parseId } from '../../kernel/ids.ts';
import type { Context } from '../context.ts';
import { ownProgram } from '../loaders.ts';
import { idOf } from './input.ts';

const refOf = ({ caller }: Context, id: string, field = 'id'): PoolRef => ({
  programId: ownProgram(caller),
  poolId: idOf<PoolId>(id, { field, what: 'pool' }),
});

export const poolResolvers = {
  Query: {
    pool: (_, args, { loaders }) => {
      const id = parseId(args.id);
      return id ? loaders.pool().load(id) : null;
    },
    pools: (_, { status, first, after }, { deps, caller }) =>
      listPools(deps, {
        programId: ownProgram(caller),
        status,
        first: first as number,
        after: after ?? null,
      }),
    codeJob: (_, { id }, { deps, caller }) =>
      codeJobById(deps, { programId: ownProgram(caller), id }),
  },
  Mutation: {
    createPool: (_, args, { deps, caller }) =>
      createPool(deps, { programId: ownProgram(caller), ...args }),
    updatePool: (_, { id, input }, context) =>
      updatePool(context.deps, { ...refOf(context, id), input }),
    activatePool: (_, { id }, context) => activatePool(context.deps, refOf(context, id)),
    pausePool: (_, { id }, context) => pausePool(context.deps, refOf(context, id)),
    resumePool: (_, { id }, context) => resumePool(context.deps, refOf(context, id)),
    archivePool: (_, { id }, context) => archivePool(context.deps, refOf(context, id)),
    generateCodes: (_, { poolId, ...args }, context) =>
      generateCodes(context.deps, { ...refOf(context, poolId, 'poolId'), ...args }),
    importCodes: (_, { poolId, ...args }, context) =>
      importCodes(context.deps, { ...refOf(context, poolId, 'poolId'), ...args }),
    importCsv: (_, { poolId, ...args }, context) =>
      importCsv(context.deps, { ...refOf(context, poolId, 'poolId'), ...args }),
    generateCodesJob: (_, { poolId, ...args }, context) =>
      generateCodesJob(context.deps, { ...refOf(context, poolId, 'poolId'), ...args }),
    cancelCodeJob: (_, { id }, { deps, caller }) =>
      cancelCodeJob(deps, {
        programId: ownProgram(caller),
        jobId: idOf<JobId>(id, { field: 'id', what: 'job' }),
      }),
  },
  Pool: {
    discountValue: (pool) => Number(pool.discountValue),
    maxDiscount: (pool) => (pool.maxDiscount === null ? null : Number(pool.maxDiscount)),
    minOrderAmount: (pool) => Number(pool.minOrderAmount),
    minTier: (pool, _, { loaders }) =>
      pool.minTierId === null ? null : loaders.tier().load(pool.minTierId),
    fallbackPool: (pool, _, { loaders }) =>
      pool.fallbackPoolId === null ? null : loaders.pool().load(pool.fallbackPoolId),
    stats: (pool, _, { loaders }) => loaders.poolStats().load(pool.id),
    codes: (pool, { status, first, after }, context) =>
      listCodes(context.deps, {
        ...refOf(context, pool.id),
        status,
        first: first as number,
        after: after ?? null,
      }),
  },
  CodeBatch: { pool: (batch, _, context) => poolOf(context, batch.poolId) },
  CodeJob: { pool: (job, _, context) => poolOf(context, job.poolId) },
} satisfies Resolvers;

/** Of a row that a foreign key binds to its pool. */
export async function poolOf({ loaders }: Context, poolId: string) {
  const pool = await loaders.pool().load(poolId);
  if (!pool) throw new Error('a row without its pool');
  return pool;
}
