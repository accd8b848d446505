import type { Resolvers } from '../../generated/graphql.ts';
import { cursorText } from '../../kernel/feed.ts';
import type { ProgramId, WebhookId } from '../../kernel/ids.ts';
import {
  createWebhook,
  listDeadLetters,
  listWebhooks,
  replayWebhook,
  rotateWebhookSecret,
  updateWebhook,
  type Webhook,
  type WebhookRef,
} from '../../webhooks/index.ts';
import type { Context } from '../context.ts';
import { ownProgram } from '../loaders.ts';
import { idOf } from './input.ts';

const named = ({ caller }: Context, id: string): WebhookRef => ({
  programId: ownProgram(caller),
  webhookId: idOf<WebhookId>(id, { field: 'id', what: 'webhook' }),
});

const of = (webhook: Webhook): WebhookRef => ({
  programId: webhook.programId as ProgramId,
  webhookId: webhook.id as WebhookId,
});

export const webhookResolvers = {
  Query: {
    webhooks: (_, __, { deps, caller }) => listWebhooks(deps, { programId: ownProgram(caller) }),
  },
  Mutation: {
    createWebhook: (_, { input }, { deps, caller }) =>
      createWebhook(deps, { programId: ownProgram(caller), input }),
    updateWebhook: (_, { id, input }, context) =>
      updateWebhook(context.deps, { ...named(context, id), input }),
    rotateWebhookSecret: (_, { id }, context) =>
      rotateWebhookSecret(context.deps, named(context, id)),
    replayWebhook: (_, { id, after }, context) =>
      replayWebhook(context.deps, { ...named(context, id), after }),
  },
  Webhook: {
    types: ({ types }) => (types.length === 0 ? null : types),
    restsUntil: ({ resumeAt }, _, { deps }) =>
      resumeAt && resumeAt > deps.clock.now() ? resumeAt : null,
    cursor: ({ cursorXid: xid, cursorId: id }) => cursorText({ xid, id }),
    deadLetters: (webhook, { first, after }, { deps }) =>
      listDeadLetters(deps, { ...of(webhook), first: first as number, after: after ?? null }),
  },
} satisfies Resolvers;
