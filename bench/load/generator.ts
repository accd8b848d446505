/**
 * Sends requests over keep-alive connections, one at a time on each: as a browser or a server
 * would, without pipelining. It writes and reads HTTP by hand, because on two cores a client
 * library would take from the engine the processor time that is to be measured.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { quantile } from '../rounds.ts';
import { type Job, type Measured, memberId, type Values } from './job.ts';

const END_OF_HEAD = Buffer.from('\r\n\r\n');
const LENGTH = /\r\ncontent-length: (\d+)/i;

class Run {
  issued = 0;
  completed = 0;
  readonly latencies: number[] = [];
  readonly sockets: Socket[] = [];
  private readonly job: Job;
  private readonly parts: string[];
  private readonly head: string;
  private readonly expected: Buffer[];
  private started = 0;
  private ended = 0;
  private pending = 0;
  private finish: { resolve(): void; reject(error: Error): void } | undefined;

  constructor(job: Job) {
    this.job = job;
    this.parts = job.body.split('@');
    this.expected = [job.expect].flat().map((part) => Buffer.from(part));
    this.head = [
      'POST /graphql HTTP/1.1',
      `host: 127.0.0.1:${job.port}`,
      `authorization: Bearer ${job.secretKey}`,
      'content-type: application/json',
      'content-length: ',
    ].join('\r\n');
  }

  async connect(): Promise<void> {
    const { port, connections } = this.job;
    for (let i = 0; i < connections; i++) this.sockets.push(connect({ port, host: '127.0.0.1' }));
    await Promise.all(this.sockets.map((socket) => once(socket, 'connect')));
  }

  async measure(): Promise<Measured> {
    this.started = performance.now();
    const done = new Promise<void>((resolve, reject) => {
      this.finish = { resolve, reject };
    });
    for (const socket of this.sockets) this.serve(socket);
    await done;
    const sorted = this.latencies.sort((a, b) => a - b);
    const seconds = this.job.seconds ?? (this.ended - this.started) / 1000;
    return {
      rate: this.completed / seconds,
      completed: this.completed,
      issued: this.issued,
      p50: quantile(sorted, 0.5),
      p99: quantile(sorted, 0.99),
      ...(this.job.pace !== undefined && { latencies: sorted }),
    };
  }

  /** The moment of the next request, where they come at a pace of their own. */
  private dueAt(): number {
    const { pace } = this.job;
    return pace === undefined ? 0 : this.started + (this.issued * 1000) / pace;
  }

  /** Whether there is time, and a value, for one more request. */
  private mayIssue(now: number): boolean {
    const { seconds, count, values } = this.job;
    const isWanted =
      count === undefined ? now - this.started < (seconds ?? 0) * 1000 : this.issued < count;
    const most = values.kind === 'list' ? values.list.length : values.most;
    if (!isWanted || most === undefined || this.issued < most) return isWanted;
    // A round that ended here would have been divided by all of its time.
    this.finish?.reject(new Error(`the stock of ${most} was used up before the round was over`));
    return false;
  }

  private serve(socket: Socket): void {
    let sentAt = 0;
    let kept: Buffer | undefined;
    const next = (now: number) => {
      const at = Math.max(this.dueAt(), this.job.pace === undefined ? now : 0);
      if (!this.mayIssue(at)) return;
      sentAt = at;
      this.pending += 1;
      const request = this.request();
      if (at <= now) socket.write(request, 'latin1');
      else setTimeout(() => socket.write(request, 'latin1'), at - now);
    };
    socket.setNoDelay(true);
    socket.on('error', (error) => this.finish?.reject(error));
    socket.on('close', () => {
      if (this.pending > 0) this.finish?.reject(new Error('the API closed a connection'));
    });
    socket.on('data', (chunk: Buffer) => {
      const answer = kept ? Buffer.concat([kept, chunk]) : chunk;
      kept = isWhole(answer) ? undefined : answer;
      if (kept) return;
      const now = performance.now();
      this.record(answer, { now, sentAt });
      next(now);
      if (this.pending === 0) this.finish?.resolve();
    });
    next(this.started);
  }

  private record(answer: Buffer, times: { now: number; sentAt: number }): void {
    this.pending -= 1;
    if (!this.expected.every((part) => answer.includes(part)))
      this.finish?.reject(new Error(`not the expected answer:\n${answer.toString('utf8')}`));
    const { seconds, pace } = this.job;
    // The slowest are the last to come: without them no pace would be too much.
    if (pace !== undefined) this.latencies.push(times.now - times.sentAt);
    // What is answered after the time is over was not done within it.
    if (seconds !== undefined && times.now - this.started > seconds * 1000) return;
    this.ended = times.now;
    this.completed += 1;
    if (pace === undefined) this.latencies.push(times.now - times.sentAt);
  }

  private request(): string {
    const values = this.parts.join(valueAt(this.job.values, this.issued));
    const body = values.replaceAll('#', String(this.issued));
    this.issued += 1;
    return `${this.head}${body.length}\r\n\r\n${body}`;
  }
}

function valueAt(values: Values, index: number): string {
  if (values.kind === 'list') return values.list[index] as string;
  const { from, of = Number.MAX_SAFE_INTEGER, start = 0, step = 1 } = values;
  return memberId(from + (((start + index) * step) % of));
}

function isWhole(answer: Buffer): boolean {
  const end = answer.indexOf(END_OF_HEAD);
  if (end < 0) return false;
  const length = LENGTH.exec(answer.toString('latin1', 0, end))?.[1];
  return answer.length >= end + END_OF_HEAD.length + Number(length);
}

export async function runJob(job: Job): Promise<Measured> {
  const run = new Run(job);
  try {
    await run.connect();
    return await run.measure();
  } finally {
    for (const socket of run.sockets) {
      socket.removeAllListeners('close');
      socket.destroy();
    }
  }
}
