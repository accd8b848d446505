/** A program with an endpoint, and what is needed to see it told. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Deps } from '../../src/deps.ts';
import { cursorText } from '../../src/kernel/feed.ts';
import type { MemberId, ProgramId, WebhookId } from '../../src/kernel/ids.ts';
import { grantPoints } from '../../src/loyalty/index.ts';
import { createWebhook, type WebhookInput } from '../../src/webhooks/index.ts';
import { deliverRound } from '../../src/webhooks/round.ts';
import { openSender } from '../../src/webhooks/send.ts';
import { runWorker } from '../../src/workers/index.ts';
import { testDeps } from './database.ts';
import { aProgram, unique } from './factories.ts';
import { firstOfEach, isSigned, type Receiver } from './receiver.ts';
import { manyMembers } from './scenes.ts';
import { until } from './until.ts';

export const SECOND = 1_000;
export const HOUR = 3_600 * SECOND;

/** Real time, and whatever a test adds to it. */
export function movableClock() {
  let ahead = 0;
  return {
    now: () => new Date(Date.now() + ahead),
    move: (milliseconds: number) => {
      ahead += milliseconds;
    },
  };
}

/** Deps that may send to this machine, and whose real time can be moved. */
export async function tellingDeps(databaseUrl?: string) {
  const clock = movableClock();
  const config = { webhookAllowPrivate: true };
  const deps = await testDeps({ clock, config, ...(databaseUrl && { databaseUrl }) });
  return { deps, clock };
}

export type Telling = Awaited<ReturnType<typeof openTelling>>;

/** A program with members, whose endpoint is told of what happens to them from now on. */
export async function openTelling(
  deps: Deps,
  of: { receiver: Receiver; members?: number; input?: Partial<WebhookInput> },
) {
  const { programId, secretKey } = await aProgram(deps);
  const members = await manyMembers(deps, { programId, count: of.members ?? 3 });
  const input = { url: of.receiver.url, enabled: true, ...of.input };
  const { webhook, secret } = await createWebhook(deps, { programId, input });
  const webhookId = webhook.id as WebhookId;
  const where = { programId_id: { programId, id: webhookId } };
  const deliver = () => runWorker(deps, { programId, task: 'DELIVER_WEBHOOKS' });
  const told = {
    programId,
    secretKey,
    members,
    webhookId,
    secret,
    deliver,
    /** One round alone, of messages that have so long. */
    round: async ({ mayGoOn = (): boolean => true, ...how }: Round = {}) => {
      const { signal } = new AbortController();
      const sender = openSender({ allowPrivate: true, signal, ...how });
      const of = { programId, webhookId, sender, mayGoOn };
      return deliverRound(deps, of).finally(sender.close);
    },
    /** So many events that only the feed knows of. */
    pass: async (count: number, { type = 'points.spent', memberId = null }: Said = {}) => {
      await deps.db.$executeRaw`
        INSERT INTO events (program_id, type, member_id, data, at)
        SELECT ${programId}::uuid, ${type}, ${memberId}::uuid, '{}', ${deps.clock.now()}
        FROM generate_series(1, ${count}::int)`;
    },
    /** One event of each of these members. */
    happen: async (to: readonly MemberId[] = members): Promise<void> => {
      for (const memberId of to) await give(deps, { programId, memberId });
    },
    /** Whatever has happened can be read: transactions of other tests hold the feed up a moment. */
    settled: () => until(async () => (await unread(deps, programId)) === 0),
    /** The ids of a member's events, or of all, as the feed has them. */
    events: (memberId?: string) => eventIds(deps, { programId, memberId }),
    row: () => deps.db.webhook.findUniqueOrThrow({ where }),
    deliveries: () => deps.db.$queryRaw<Delivery[]>`
      SELECT event_id AS id, attempts, next_attempt_at = 'infinity' AS "isBlocked",
        dead_at IS NOT NULL AS "isDead"
      FROM webhook_deliveries WHERE webhook_id = ${webhookId}::uuid
      ORDER BY event_xid, event_id`,
    /** Delivers until it is so: transactions of other tests hold the feed up for a moment. */
    deliverUntil: async (is: () => boolean | Promise<boolean>): Promise<void> => {
      for (let tries = 0; tries < 500; tries++) {
        await deliver();
        if (await is()) return;
        await sleep(20);
      }
      throw new Error('it was not delivered');
    },
  };
  return told;
}

async function unread(deps: Deps, programId: string): Promise<number> {
  const [row] = await deps.db.$queryRaw<{ count: bigint }[]>`
    SELECT count(*) AS count FROM events
    WHERE program_id = ${programId}::uuid AND xid >= events_horizon()`;
  return Number(row?.count);
}

/** Everything that has happened has been taken. */
export const hasAll = (shop: Telling, from: Receiver) => async () => {
  const taken = new Set(from.taken().map(({ id }) => id));
  return (await shop.events()).every((id) => taken.has(id));
};

/** At least once, in order for each member, and signed. */
export async function expectTold(shop: Telling, from: Receiver): Promise<void> {
  const members = firstOfEach(from);
  for (const memberId of shop.members)
    expect(members.get(memberId) ?? []).toEqual(await shop.events(memberId));
  for (const message of from.received) expect(isSigned(message, shop.secret)).toBe(true);
  expect(await shop.deliveries()).toEqual([]);
}

type Round = Partial<Parameters<typeof openSender>[0]> & { mayGoOn?: () => boolean };
type Said = { type?: string; memberId?: MemberId | null | undefined };
type Delivery = { id: bigint; attempts: number; isBlocked: boolean; isDead: boolean };

export const give = (deps: Deps, of: { programId: ProgramId; memberId: MemberId }) =>
  grantPoints(deps, { ...of, points: 1, idempotencyKey: unique('give'), reason: 'a gift' });

async function eventIds(deps: Deps, of: { programId: string; memberId?: string | undefined }) {
  const rows = await deps.db.event.findMany({
    where: { programId: of.programId, type: 'points.awarded', memberId: of.memberId },
    orderBy: [{ xid: 'asc' }, { id: 'asc' }],
  });
  return rows.map(cursorText);
}
