import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** The Parley that answers /api while Vite serves the page. */
const server = process.env.PARLEY_URL ?? 'http://127.0.0.1:7420';

export default defineConfig({
  plugins: [react(), tailwindcss()],
  // wouter brings what React has had for years.
  resolve: { alias: [{ find: /^use-sync-external-store\/shim(\/index\.js)?$/, replacement: 'react' }] },
  build: {
    target: 'es2022',
    // A data: URL as a style or script source is what the page's CSP refuses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  server: {
    // The server accepts its own origin only.
    proxy: { '/api': { target: server, ws: true, headers: { origin: server } } },
  },
});
