import { readFileSync } from 'node:fs';

// What a first visit loads: whatever index.html names, not what its file names happen to be.
const index = readFileSync(new URL('dist/index.html', import.meta.url), 'utf8');
const named = (ext) => [...index.matchAll(new RegExp(`"/(assets/[^"]+\\.${ext})"`, 'g'))].map((m) => `dist/${m[1]}`);

/** A part that comes later. */
const part = (name, limit) => ({ name, path: `dist/assets/${name}-*.js`, gzip: true, limit });

export default [
  { name: 'initial JS', path: named('js'), gzip: true, limit: '115 kB' },
  { name: 'initial CSS', path: named('css'), gzip: true, limit: '10 kB' },
  part('highlight', '20 kB'),
  part('SignIn', '20 kB'),
  part('Markdown', '20 kB'),
  part('replayPage', '25 kB'),
];
