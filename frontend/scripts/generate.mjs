// `npm run generate` writes the types; with --check it fails if they have drifted.
import { readFile, writeFile } from 'node:fs/promises';
import { types, typesFile } from './types.mjs';

const want = await types();
if (process.argv.includes('--check')) {
  if ((await readFile(typesFile, 'utf8')) !== want) {
    console.error('src/protocol/types.gen.ts has drifted from events/schema.json: run `npm run generate`');
    process.exit(1);
  }
} else {
  await writeFile(typesFile, want);
}
