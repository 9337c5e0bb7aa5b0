import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import type { Commit, Conversation } from '../../src/protocol/types';

/** A golden log of the Go fold, see events/testdata/README.md. */
export interface Golden {
  name: string;
  commits: Commit[];
  /** The base of the whole log with 60 runs. */
  state: Conversation;
  bases: { n: number; limit: number; state: Conversation }[];
}

const folder = join(__dirname, '../../../events/testdata');

export function goldens(): Golden[] {
  return readdirSync(folder)
    .filter((f) => f.endsWith('.txtar'))
    .map((f) => read(f.slice(0, -'.txtar'.length), readFileSync(join(folder, f), 'utf8')));
}

function read(name: string, text: string): Golden {
  const files = new Map<string, string>();
  for (const part of text.split(/^-- /m).slice(1)) {
    const end = part.indexOf(' --\n');
    files.set(part.slice(0, end), part.slice(end + ' --\n'.length));
  }
  const json = (file: string): unknown => JSON.parse(files.get(file) ?? '');
  const bases = [...files.keys()].flatMap((file) => {
    const m = /^base-(\d+)-(\d+)\.json$/.exec(file);
    return m ? [{ n: Number(m[1]), limit: Number(m[2]), state: json(file) as Conversation }] : [];
  });
  const commits = (files.get('commits.jsonl') ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Commit);
  return { name, commits, state: json('state.json') as Conversation, bases };
}
