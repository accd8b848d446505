/** The database itself, which is asked without the engine. */
import pg from 'pg';

export type Where = { databaseUrl: string; programId: string };

export async function bySql<Answer>(
  databaseUrl: string,
  ask: (client: pg.Client) => Promise<Answer>,
): Promise<Answer> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return await ask(client);
  } finally {
    await client.end();
  }
}
