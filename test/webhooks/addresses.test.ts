/** Where messages may go, and what a stranger's server can do to whoever sends one. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import {
  byNameServers,
  ForbiddenAddress,
  judgedLookup,
  type Resolve,
} from '../../src/webhooks/addresses.ts';
import { openSender } from '../../src/webhooks/send.ts';
import type { Outcome } from '../../src/webhooks/types.ts';
import { certificateOf } from '../support/certificate.ts';
import { startReceiver } from '../support/receiver.ts';

const closing: (() => void)[] = [];
afterAll(() => {
  for (const close of closing) close();
});

type Of = { allowPrivate?: boolean; resolve?: Resolve; timeoutMs?: number; ca?: string };

async function sent(url: string, of: Of = {}): Promise<Outcome> {
  const { signal } = new AbortController();
  const sender = openSender({ allowPrivate: false, timeoutMs: 10_000, signal, ...of });
  try {
    return (await sender.send({ url: new URL(url), headers: {}, body: '{}' })).outcome;
  } finally {
    sender.close();
  }
}

/** A name server that answers each question with the next of these lists. */
function names(...answers: string[][]): Resolve {
  let asked = 0;
  return async () => {
    const addresses = answers[Math.min(asked++, answers.length - 1)] ?? [];
    return addresses.map((address) => ({ address, family: net.isIP(address) }));
  };
}

describe('an address that is not public is refused, before anything is sent', () => {
  const literals = [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0177.0.0.1',
    '0.0.0.0',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:a9fe:a9fe]',
    '[::7f00:1]',
    '[fe80::1]',
    '[fc00::1]',
    '[fd00:ec2::254]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
    '[ff02::1]',
    'localhost',
    'LOCALHOST.',
    'shop.localhost',
  ];

  test.each(literals)('%s', async (host) => {
    expect(await sent(`http://${host}:9/`)).toBe('forbidden');
    const literal = new URL(`http://${host}/`).hostname.replace(/[[\]]/g, '');
    if (net.isIP(literal) === 0) return;
    expect(await sent('http://shop.example:9/', { resolve: names([literal]) })).toBe('forbidden');
  });

  test('one of several is enough', async () => {
    const resolve = names(['93.184.216.34', '10.0.0.1']);
    expect(await sent('http://shop.example:9/', { resolve })).toBe('forbidden');
  });

  test('unless the operator allows it', async () => {
    const receiver = await startReceiver();
    expect(await sent(receiver.url, { allowPrivate: true })).toBe('delivered');
    expect(await sent(receiver.url)).toBe('forbidden');
    expect(receiver.received).toHaveLength(1);
  });
});

test('a name that is public when it is judged, and private a moment later, is judged anew', async () => {
  const lookup = judgedLookup({
    allowPrivate: false,
    resolve: names(['93.184.216.34'], ['127.0.0.1']),
  });
  const ask = () =>
    new Promise((resolve) =>
      lookup('shop.example', { all: true }, (...[error, found]) => resolve(error ?? found)),
    );
  expect(await ask()).toEqual([{ address: '93.184.216.34', family: 4 }]);
  expect(await ask()).toBeInstanceOf(ForbiddenAddress);
});

test('the connection goes to the address that was judged', async () => {
  const receiver = await startReceiver();
  const { port } = new URL(receiver.url);
  const resolve = names(['127.0.0.1'], ['127.0.0.2']);
  expect(await sent(`http://shop.example:${port}/`, { resolve, allowPrivate: true })).toBe(
    'delivered',
  );
  expect(receiver.received[0]?.headers.host).toBe(`shop.example:${port}`);
});

/** A name server that answers every question for an IPv4 address with this one, or keeps silent. */
async function nameServer(address: string | undefined): Promise<string> {
  const socket = createSocket('udp4');
  socket.on('message', (question, from) => {
    if (address === undefined) return;
    const isIpv4 = question.readUInt16BE(question.indexOf(0, 12) + 1) === 1;
    const answer = Buffer.from('c00c00010001000000050004', 'hex');
    const record = isIpv4 ? [answer, Buffer.from(address.split('.').map(Number))] : [];
    const head = Buffer.from([0x81, 0x80, 0, 1, 0, isIpv4 ? 1 : 0, 0, 0, 0, 0]);
    const asked = question.subarray(12, question.indexOf(0, 12) + 5);
    const id = question.subarray(0, 2);
    socket.send(Buffer.concat([id, head, asked, ...record]), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  closing.push(() => socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

describe('a name is asked of the name servers, which', () => {
  test('answer, and what they answer is judged', async () => {
    const receiver = await startReceiver();
    const { port } = new URL(receiver.url);
    const resolve = byNameServers({ servers: [await nameServer('127.0.0.1')] });
    expect(await resolve('shop.example')).toEqual([{ address: '127.0.0.1', family: 4 }]);
    expect(await sent(`http://shop.example:${port}/`, { resolve })).toBe('forbidden');
    const allowed = { resolve, allowPrivate: true };
    expect(await sent(`http://shop.example:${port}/`, allowed)).toBe('delivered');
  });

  test('keep silent: that is no answer', async () => {
    const resolve = byNameServers({ servers: [await nameServer(undefined)], patienceMs: 100 });
    const outcomes = Array.from({ length: 8 }, () => sent('http://shop.example:9/', { resolve }));
    expect(await Promise.all(outcomes)).toEqual(Array(8).fill('unreachable'));
  });
});

describe('by https', () => {
  const mine = certificateOf('shop.example');
  const resolve = names(['127.0.0.1']);

  test('a server is asked for by its name, at the address that was judged', async () => {
    const receiver = await startReceiver(() => 200, mine);
    const url = receiver.url.replace('127.0.0.1', 'shop.example');
    expect(await sent(url, { resolve, allowPrivate: true, ca: mine.cert })).toBe('delivered');
    expect(await sent(url, { resolve, ca: mine.cert })).toBe('forbidden');
    expect(receiver.received.map(({ servername }) => servername)).toEqual(['shop.example']);
  });

  test('a certificate that nobody trusts, or of another name, is no way to reach it', async () => {
    const receiver = await startReceiver(() => 200, mine);
    const other = { resolve, allowPrivate: true, ca: mine.cert };
    const url = receiver.url.replace('127.0.0.1', 'shop.example');
    expect(await sent(url, { resolve, allowPrivate: true })).toBe('unreachable');
    expect(await sent(url.replace('shop', 'other'), other)).toBe('unreachable');
    expect(receiver.received).toEqual([]);
  });
});

test('a redirect is not followed', async () => {
  const receiver = await startReceiver(() => 302);
  expect(await sent(receiver.url, { allowPrivate: true })).toBe('refused');
  expect(receiver.received).toHaveLength(1);
});

/** A server that does what it likes with each connection. */
async function rude(behave: (socket: Socket) => void): Promise<string> {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => behave(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

describe('a server that', () => {
  const allowed = { allowPrivate: true, timeoutMs: 300 };
  const OK = 'HTTP/1.1 200 OK\r\n';

  test('never answers is left alone after a while', async () => {
    const began = performance.now();
    expect(await sent(await rude(() => {}), allowed)).toBe('unreachable');
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  test('sends its headers a letter at a time, too', async () => {
    const url = await rude((socket) => {
      const timer = setInterval(() => socket.write('x'), 20);
      socket.on('close', () => clearInterval(timer));
      socket.write(`${OK}x: `);
    });
    expect(await sent(url, allowed)).toBe('unreachable');
  });

  test('hangs up, or answers what is not HTTP, has not taken it', async () => {
    expect(await sent(await rude((socket) => socket.destroy()), allowed)).toBe('unreachable');
    expect(await sent(await rude((socket) => socket.end('hello')), allowed)).toBe('unreachable');
    const switching =
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n';
    expect(await sent(await rude((s) => s.write(switching)), allowed)).toBe('unreachable');
  });

  test('answers without an end is not read to it', async () => {
    let written = 0;
    const url = await rude((socket) => {
      socket.write(`${OK}transfer-encoding: chunked\r\n\r\n`);
      const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
      const timer = setInterval(() => {
        if (socket.writable && socket.write(chunk)) written += chunk.length;
      }, 1);
      socket.on('close', () => clearInterval(timer));
    });
    expect(await sent(url, { ...allowed, timeoutMs: 5_000 })).toBe('delivered');
    expect(written).toBeLessThan(20 * 1024 * 1024);
  });

  test('takes it and then keeps silent has taken it', async () => {
    const url = await rude((socket) => void socket.write(`${OK}content-length: 9\r\n\r\n`));
    expect(await sent(url, { ...allowed, timeoutMs: 1_000 })).toBe('delivered');
  });
});

test('a connection that was kept open and has been closed meanwhile is opened anew', async () => {
  let connections = 0;
  const server = createServer((request, response) => {
    request.resume();
    response.end('ok', () => setTimeout(() => request.socket.destroy(), 20));
  });
  server.on('connection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  const { signal } = new AbortController();
  const sender = openSender({ allowPrivate: true, signal });
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const send = () => sender.send({ url, headers: {}, body: '{}' });
  expect(await send()).toEqual({ outcome: 'delivered' });
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(await send()).toEqual({ outcome: 'delivered' });
  expect(connections).toBe(2);
  sender.close();
});

test('a process that is stopping breaks off, and has not tried', async () => {
  const url = await rude(() => {});
  const stopping = new AbortController();
  const sender = openSender({ allowPrivate: true, signal: stopping.signal });
  const outcome = sender.send({ url: new URL(url), headers: {}, body: '{}' });
  setTimeout(() => stopping.abort(), 50);
  expect(await outcome).toEqual({ outcome: 'stopped' });
  const later = await sender.send({ url: new URL(url), headers: {}, body: '{}' });
  expect(later).toEqual({ outcome: 'stopped' });
});
