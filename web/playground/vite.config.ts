import path from 'node:path';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const here = import.meta.dirname;

/** Everything the page needs is built into dist/, so that it asks nobody but Flash for anything. */
export default defineConfig({
  root: here,
  base: '/playground/',
  publicDir: false,
  plugins: [react()],
  worker: { format: 'es' },
  build: {
    outDir: path.join(here, 'dist'),
    emptyOutDir: true,
    assetsDir: '.',
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 6000, // monaco is that large
    rolldownOptions: {
      onLog(level, log, handle) {
        // "use client" and the like, in files of others: it means nothing to a browser.
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') handle(level, log);
      },
    },
  },
  server: { fs: { allow: [path.join(here, '../..')] } },
});
