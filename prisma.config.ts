import process from 'node:process';
import { defineConfig } from 'prisma/config';

// `prisma generate` wants a schema engine to exist but never runs it; naming a file that exists
// keeps it from downloading one. Migrations go through the WebAssembly engine:
// src/kernel/migrate.ts.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath;

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
});
