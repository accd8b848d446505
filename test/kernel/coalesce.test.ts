import { expect, test } from 'vitest';
import { CallLimit, type HotOperation, HotQueue } from '../../src/kernel/coalesce.ts';

type Item = { id: string; lock?: string };
type Call = { programId: string; ids: string[] };
type Answer = (call: Call) => Promise<string[]>;

/** A queue whose calls are recorded, and answered as the test says. */
function recorded(answer: Answer, size = 4) {
  const calls: Call[] = [];
  const operation: HotOperation<Item, string> = {
    call: (programId, items) => {
      const call = { programId, ids: items.map(({ id }) => id) };
      calls.push(call);
      return answer(call);
    },
    same: ({ id }) => id,
    locks: ({ id, lock }) => [lock ?? id],
    repeated: (outcome) => `${outcome} repeated`,
  };
  const queue = new HotQueue(operation, new CallLimit(size));
  const submit = (id: string, lock?: string, programId = 'p') =>
    queue.submit(programId, lock === undefined ? { id } : { id, lock });
  // A lane goes a moment after its last answer.
  const lanes = async () => {
    await pause(1);
    return (queue as unknown as { lanes: Map<string, unknown> }).lanes.size;
  };
  return { calls, submit, lanes };
}

const done: Answer = async ({ ids }) => ids.map((id) => `${id} done`);
const pause = (milliseconds: number) => new Promise((r) => setTimeout(r, milliseconds));

/** A door that calls wait at, so that a test decides when one comes back. */
function door() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
}

test('requests of one moment go in one call, in the order they came', async () => {
  const { calls, submit } = recorded(done);
  // The lane is chosen by the lock: 100 requests are two calls, one for each lane.
  const ids = Array.from({ length: 100 }, (_, i) => `r${String(i).padStart(3, '0')}`);
  const answers = await Promise.all(ids.map((id) => submit(id)));
  expect(answers).toEqual(ids.map((id) => `${id} done`));
  expect(calls).toHaveLength(2);
  for (const call of calls) expect(call.ids).toEqual(call.ids.toSorted());
});

test('a call takes 120 requests at most, and the rest go in the next', async () => {
  const { calls, submit } = recorded(done);
  const ids = Array.from({ length: 600 }, (_, i) => `r${String(i).padStart(3, '0')}`);
  await Promise.all(ids.map((id) => submit(id)));
  expect(Math.max(...calls.map((call) => call.ids.length))).toBe(120);
  expect(calls.flatMap((call) => call.ids).toSorted()).toEqual(ids);
});

test('identical requests share one outcome: the first is fresh, the others are repeats', async () => {
  const { calls, submit } = recorded(done);
  const answers = await Promise.all([submit('a'), submit('a'), submit('a')]);
  expect(answers).toEqual(['a done', 'a done repeated', 'a done repeated']);
  expect(calls).toEqual([{ programId: 'p', ids: ['a'] }]);
});

test('a request never joins a call that is under way: that one may have judged an older state', async () => {
  const { open, opened } = door();
  const { calls, submit } = recorded(async (call) => {
    await opened;
    return done(call);
  });
  const early = submit('a');
  await pause(10);
  const late = submit('a');
  open();
  expect(await Promise.all([early, late])).toEqual(['a done', 'a done']);
  expect(calls.map((call) => call.ids)).toEqual([['a'], ['a']]);
});

test('a call holds one request for each lock; those behind it keep their order', async () => {
  const { calls, submit } = recorded(done);
  const locked = ['a1', 'a2', 'a3'].map((id) => submit(id, 'a'));
  await Promise.all(locked);
  expect(calls.map((call) => call.ids)).toEqual([['a1'], ['a2'], ['a3']]);
});

test('requests with one lock never stand in two calls at once', async () => {
  let inFlight = 0;
  let most = 0;
  const { submit } = recorded(async (call) => {
    most = Math.max(most, ++inFlight);
    await pause(2);
    inFlight -= 1;
    return done(call);
  });
  await Promise.all(Array.from({ length: 20 }, (_, i) => submit(`a${i}`, 'a')));
  expect(most).toBe(1);
});

test('AGAIN comes back with a later call, while others go on', async () => {
  let asked = 0;
  const { calls, submit, lanes } = recorded(async ({ ids }) =>
    ids.map((id) => (id === 'held' && ++asked < 4 ? 'AGAIN' : `${id} done`)),
  );
  const order: string[] = [];
  const track = async (id: string) => {
    order.push(await submit(id, `lock of ${id}`));
  };
  await Promise.all([track('held'), track('free')]);
  expect(order).toEqual(['free done', 'held done']);
  expect(calls.filter((call) => call.ids.includes('held'))).toHaveLength(4);
  expect(await lanes()).toBe(0);
});

test('a twin that waits when a request comes back from AGAIN joins it', async () => {
  const { open, opened } = door();
  const { calls, submit } = recorded(async (call) => {
    if (calls.length === 1) return ['AGAIN'];
    if (calls.length === 2) await opened;
    return done(call);
  });
  const early = submit('a', 'lock');
  const other = submit('b', 'lock');
  await pause(1);
  const late = submit('a', 'lock');
  await pause(20);
  open();
  expect((await Promise.all([early, late])).toSorted()).toEqual(['a done', 'a done repeated']);
  expect(await other).toBe('b done');
  expect(calls.map((call) => call.ids)).toEqual([['a'], ['b'], ['a']]);
});

test('AGAIN goes on for two seconds, then it is SERVICE_UNAVAILABLE, and nothing is left', async () => {
  const { calls, submit, lanes } = recorded(async ({ ids }) => ids.map(() => 'AGAIN'));
  const began = performance.now();
  const [mine, twin] = await Promise.allSettled([submit('a'), submit('a')]);
  const took = performance.now() - began;
  expect(took).toBeGreaterThan(2_000);
  expect(took).toBeLessThan(10_000);
  for (const one of [mine, twin])
    expect(one).toMatchObject({ reason: { code: 'SERVICE_UNAVAILABLE' } });
  // It pauses between its calls, a little longer each time.
  expect(calls.length).toBeLessThan(200);
  expect(await lanes()).toBe(0);
});

test('a call that fails is repeated one by one: only the request that is at fault fails', async () => {
  const { calls, submit, lanes } = recorded(async (call) => {
    if (call.ids.includes('bad')) throw new Error('a row that cannot be');
    return done(call);
  });
  const ids = ['a', 'b', 'bad', 'c', 'd'];
  const settled = await Promise.allSettled(ids.map((id) => submit(id, `lock of ${id}`)));
  expect(
    settled.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.message)),
  ).toEqual(['a done', 'b done', 'a row that cannot be', 'c done', 'd done']);
  const withBad = calls.filter((call) => call.ids.includes('bad'));
  expect(withBad.map((call) => call.ids.length).at(-1)).toBe(1);
  expect(await lanes()).toBe(0);
});

test('a call that fails fails all who shared the request, and the lane goes on', async () => {
  let failed = false;
  const { submit } = recorded(async (call) => {
    if (!failed) {
      failed = true;
      throw new Error('the connection was lost');
    }
    return done(call);
  });
  const settled = await Promise.allSettled([submit('a'), submit('a')]);
  expect(settled.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await submit('a')).toBe('a done');
});

test('two programs are served in turn, however long the queue of one is', async () => {
  const { calls, submit } = recorded(async (call) => {
    await pause(1);
    return done(call);
  }, 1);
  const rush = Array.from({ length: 1_500 }, (_, i) => submit(`r${i}`, `lock ${i}`, 'busy'));
  await pause(2);
  const before = calls.length;
  await submit('one', 'lock', 'quiet');
  const position = calls.findIndex((call) => call.programId === 'quiet');
  // At most the call in flight and one of each lane of the other program come before it.
  expect(position - before).toBeLessThanOrEqual(3);
  await Promise.all(rush);
  expect(calls.length).toBeGreaterThan(position + 1);
});

test('no more calls are in flight than the limit allows, over all programs', async () => {
  let inFlight = 0;
  let most = 0;
  const { submit } = recorded(async (call) => {
    most = Math.max(most, ++inFlight);
    await pause(1);
    inFlight -= 1;
    return done(call);
  }, 3);
  const programs = Array.from({ length: 20 }, (_, i) => `program ${i}`);
  await Promise.all(programs.map((programId) => submit('a', 'lock', programId)));
  expect(most).toBe(3);
});

test('no lane outlives its requests, after answers, failures and AGAIN alike', async () => {
  const told = new Set<string>();
  const { submit, lanes } = recorded(async ({ ids }) => {
    await pause(1);
    if (ids.some((id) => id.endsWith('7'))) throw new Error('at fault');
    const answers = ids.map((id) => (told.has(id) ? `${id} done` : 'AGAIN'));
    for (const id of ids) told.add(id);
    return answers;
  });
  const programs = Array.from({ length: 10 }, (_, i) => `program ${i}`);
  await Promise.allSettled(
    programs.flatMap((programId) =>
      Array.from({ length: 10 }, (_, i) => submit(`r${i}`, `lock ${i}`, programId)),
    ),
  );
  expect(await lanes()).toBe(0);
});
