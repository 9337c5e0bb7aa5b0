import { readFileSync } from 'node:fs';

// What a first visit loads: whatever index.html names, not what its file names happen to be.
const index = readFileSync(new URL('dist/index.html', import.meta.url), 'utf8');
const named = (ext) => [...index.matchAll(new RegExp(`"/(assets/[^"]+\\.${ext})"`, 'g'))].map((m) => `dist/${m[1]}`);

export default [
  { name: 'initial JS', path: named('js'), gzip: true, limit: '115 kB' },
  { name: 'initial CSS', path: named('css'), gzip: true, limit: '10 kB' },
];
