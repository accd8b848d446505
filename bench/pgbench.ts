/** The other side: PostgreSQL's own benchmark client with the bare SQL of one operation. */
import { spawn } from 'node:child_process';
import { access, constants, readdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { onEnd } from './cleanup.ts';

const CLIENTS = 16;
const SYSTEM = ['/usr/lib/postgresql', '/usr/pgsql', '/opt/homebrew/opt', '/usr/local/opt'];

/** On PATH, else where distributions put the programs of their newest PostgreSQL. */
export async function findPgbench(): Promise<string | undefined> {
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter((folder) => folder !== '');
  for (const root of SYSTEM) {
    const names = await readdir(root).catch(() => []);
    const versions = names.filter((name) => /^(postgresql@?)?\d*$/.test(name));
    versions.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
    folders.push(...versions.map((name) => path.join(root, name, 'bin')));
  }
  for (const folder of folders) {
    const file = path.join(folder, 'pgbench');
    if (
      await access(file, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return file;
  }
  return undefined;
}

type Bench = { program: string; databaseUrl: string };
type Script = { name: string; seconds: number; variables: Record<string, string | number> };

/**
 * Transactions a second of bench/sql/<name>.sql from 16 connections, with prepared statements.
 * Throws when a transaction failed: the script is meant to succeed every time.
 */
export async function runPgbench(bench: Bench, script: Script): Promise<{ rate: number }> {
  const file = fileURLToPath(new URL(`./sql/${script.name}.sql`, import.meta.url));
  const threads = Math.min(CLIENTS, os.cpus().length);
  const args = ['-n', '-M', 'prepared', '-c', CLIENTS, '-j', threads, '-T', script.seconds];
  const variables = Object.entries(script.variables).flatMap(([k, v]) => ['-D', `${k}=${v}`]);
  const output = await run(bench, [...args.map(String), ...variables, '-f', file]);
  const rate = /^tps = ([\d.]+) \(without/m.exec(output)?.[1];
  if (rate === undefined || /aborted/.test(output)) throw new Error(`pgbench said:\n${output}`);
  return { rate: Number(rate) };
}

const running = new Set<() => void>();
let isWatched = false;

function run(bench: Bench, args: string[]): Promise<string> {
  if (!isWatched) {
    isWatched = true;
    onEnd('pgbench', async () => {
      for (const kill of running) kill();
    });
  }
  const url = new URL(bench.databaseUrl);
  const env = {
    PATH: process.env.PATH,
    PGHOST: url.hostname,
    PGPORT: url.port,
    PGUSER: url.username,
    PGPASSWORD: url.password,
    PGDATABASE: url.pathname.slice(1),
  };
  return new Promise((resolve, reject) => {
    const child = spawn(bench.program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const kill = () => void child.kill('SIGKILL');
    running.add(kill);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        output += data;
      });
    child.once('error', reject);
    child.once('close', (code) => {
      running.delete(kill);
      if (code === 0) resolve(output);
      else reject(new Error(`pgbench failed (${code}):\n${output}`));
    });
  });
}
