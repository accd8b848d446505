export { createWebhook } from './create-webhook.ts';
export { type Delivered, deliverWebhook, webhooksDue } from './deliver-webhook.ts';
export { webhookMetrics } from './metrics.ts';
export { listDeadLetters, listWebhooks } from './queries.ts';
export { replayWebhook } from './replay-webhook.ts';
export { resealSecrets } from './rotate-keys.ts';
export { rotateWebhookSecret } from './rotate-secret.ts';
export type { Webhook, WebhookInput, WebhookRef } from './types.ts';
export { updateWebhook } from './update-webhook.ts';
