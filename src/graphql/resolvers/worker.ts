import type { Resolvers } from '../../generated/graphql.ts';
import { listFailures, runWorker } from '../../workers/index.ts';
import { ownProgram } from '../loaders.ts';

export const workerResolvers = {
  Query: {
    workerFailures: (_, { task, first, after }, { deps, caller }) =>
      listFailures(deps, {
        programId: ownProgram(caller),
        task: task ?? null,
        first: first as number,
        after: after ?? null,
      }),
  },
  Mutation: {
    runWorker: (_, { task }, { deps, caller }) =>
      runWorker(deps, { programId: ownProgram(caller), task }),
  },
  WorkerFailure: {
    id: (failure) => failure.id.toString(),
    day: (failure) => failure.day.toISOString().slice(0, 10),
    memberId: (failure) => failure.memberId ?? failure.programId,
  },
} satisfies Resolvers;
