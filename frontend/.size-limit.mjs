import { readdirSync, readFileSync } from 'node:fs';

const dist = new URL('dist/', import.meta.url);

// What a first visit loads: whatever index.html names, not what its file names happen to be.
const index = readFileSync(new URL('index.html', dist), 'utf8');
const named = (ext) => [...index.matchAll(new RegExp(`"/(assets/[^"]+\\.${ext})"`, 'g'))].map((m) => `dist/${m[1]}`);
const first = named('js');

// What is fetched when it is needed, by the name of the file that it is made from.
const limits = { replayPage: '25 kB', view: '35 kB' };
const lazy = readdirSync(new URL('assets/', dist))
  .filter((file) => file.endsWith('.js') && !first.includes(`dist/assets/${file}`))
  .map((file) => {
    const name = file.replace(/-[\w-]{8}\.js$/, '');
    return { name: `when needed: ${name}`, path: `dist/assets/${file}`, gzip: true, limit: limits[name] ?? '20 kB' };
  });

export default [
  { name: 'initial JS', path: first, gzip: true, limit: '115 kB' },
  { name: 'initial CSS', path: named('css'), gzip: true, limit: '10 kB' },
  ...lazy,
];
