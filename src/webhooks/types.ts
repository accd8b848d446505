import type { Webhook } from '../generated/prisma/client.ts';
import type { ProgramId, WebhookId } from '../kernel/ids.ts';

export type { Webhook };

export type WebhookRef = { programId: ProgramId; webhookId: WebhookId };

/** What a client may say about an endpoint. No types: all. */
export type WebhookInput = {
  url: string;
  types?: readonly string[] | null | undefined;
  enabled: boolean;
};

/** Why an attempt to deliver came to nothing, or that it did not. */
export type Outcome =
  /** The endpoint answered with a status of 200 to 299. */
  | 'delivered'
  /** It answered with any other; a redirect is not followed. */
  | 'refused'
  /** It answered with 410: it wants to be told nothing any more. */
  | 'gone'
  /** There was no answer in time. */
  | 'unreachable'
  /** Its name stands for an address that nothing may be sent to. */
  | 'forbidden'
  /** This process is stopping, or the endpoint is not there any more: it counts as not tried. */
  | 'stopped';

export const isFailure = (outcome: Outcome): boolean =>
  outcome !== 'delivered' && outcome !== 'stopped';
