import type { Deps } from '../deps.ts';
import { inTransaction } from '../kernel/db.ts';
import { conflict } from '../kernel/errors.ts';
import { feedEnd } from '../kernel/feed.ts';
import { newId, type ProgramId, type WebhookId } from '../kernel/ids.ts';
import { lockProgram } from '../kernel/locks.ts';
import { newSecret, sealSecret } from './secret.ts';
import type { Webhook, WebhookInput } from './types.ts';
import { readWebhookInput } from './webhook-input.ts';

/** Each endpoint is looked after every second, whether it has something to be told or not. */
export const MAX_WEBHOOKS = 20;

/**
 * Makes an endpoint that is told what happens from now on. Its secret is answered here and nowhere
 * else.
 *
 * Locks: PROGRAM.
 * Refusals: none; BAD_USER_INPUT names the field; CONFLICT where there are twenty already.
 * A retry makes another endpoint.
 * Events: none.
 */
export async function createWebhook(
  deps: Deps,
  { programId, input }: { programId: ProgramId; input: WebhookInput },
): Promise<{ webhook: Webhook; secret: string }> {
  const settings = await readWebhookInput(input, reachOf(deps));
  const id = newId<WebhookId>(deps);
  const secret = newSecret(deps.random);
  const sealed = sealSecret(deps, { programId, id, text: secret });
  const webhook = await inTransaction(deps, async (tx) => {
    await lockProgram(tx, programId);
    if ((await tx.webhook.count({ where: { programId } })) >= MAX_WEBHOOKS)
      throw conflict(`a program has at most ${MAX_WEBHOOKS} webhooks: change one of them`);
    const { xid, id: eventId } = await feedEnd({ db: tx });
    const cursor = { cursorXid: xid, cursorId: eventId };
    const createdAt = deps.clock.now();
    return tx.webhook.create({
      data: { programId, id, createdAt, ...cursor, ...settings, ...sealed },
    });
  });
  return { webhook, secret };
}

export const reachOf = ({ config }: Pick<Deps, 'config'>) => ({
  allowPrivate: config.webhookAllowPrivate,
});
