import type { Resolvers } from '../../generated/graphql.ts';
import { scalars } from '../scalars.ts';
import { advisorResolvers } from './advisor.ts';
import { campaignResolvers } from './campaign.ts';
import { codeResolvers } from './code.ts';
import { eventResolvers } from './event.ts';
import { memberResolvers } from './member.ts';
import { pointsResolvers } from './points.ts';
import { poolResolvers } from './pool.ts';
import { programResolvers } from './program.ts';
import { webhookResolvers } from './webhook.ts';
import { workerResolvers } from './worker.ts';

const rooms = [
  programResolvers,
  memberResolvers,
  poolResolvers,
  codeResolvers,
  pointsResolvers,
  eventResolvers,
  webhookResolvers,
  workerResolvers,
  advisorResolvers,
  campaignResolvers,
];

/** One map for the whole schema; only Query and Mutation are shared between the rooms. */
export const resolvers: Resolvers = {
  ...Object.assign({}, ...rooms),
  Query: Object.assign({}, ...rooms.map((room) => room.Query)),
  Mutation: Object.assign({}, ...rooms.map((room) => room.Mutation)),
  ...scalars,
};
