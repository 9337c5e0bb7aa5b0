import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { resolve } from 'node:path';
import { defineConfig } from 'vite';

/** The Parley that answers /api while Vite serves the page. */
const server = process.env.PARLEY_URL ?? 'http://127.0.0.1:7420';

/** What everybody loads, and what everybody loads who is signed in. Each file of its own costs a phone a round trip. */
const together = {
  index: ['src/main.tsx'],
  view: [
    'src/chat/MessageList.tsx',
    'src/markdown/Markdown.tsx',
    'src/sidebar/Sidebar.tsx',
    'src/auth/Account.tsx',
    'src/tasks/TaskPanel.tsx',
  ],
};

interface Modules {
  getModuleInfo(id: string): { importedIds: readonly string[] } | null;
}

/** Names the file of a module: that of the first list whose modules import it, by whatever way. */
function fileOf() {
  const files = new Map<string, string>();
  return (id: string, modules: Modules): string | null => {
    if (files.size === 0) {
      for (const [name, roots] of Object.entries(together)) {
        const todo = roots.map((root) => resolve(root));
        for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
          if (files.has(next)) continue;
          files.set(next, name);
          todo.push(...(modules.getModuleInfo(next)?.importedIds ?? []));
        }
      }
    }
    return files.get(id) ?? null;
  };
}

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
    rolldownOptions: {
      output: {
        codeSplitting: { includeDependenciesRecursively: false, groups: [{ name: fileOf(), debugName: 'together' }] },
      },
    },
  },
  server: {
    // The server accepts its own origin only.
    proxy: { '/api': { target: server, ws: true, headers: { origin: server } } },
  },
});
