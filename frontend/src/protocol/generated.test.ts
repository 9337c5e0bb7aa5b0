import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

it('is what npm run generate makes of the schema', () => {
  const root = join(__dirname, '../..');
  expect(() => execFileSync(process.execPath, ['scripts/generate.mjs', '--check'], { cwd: root })).not.toThrow();
});
