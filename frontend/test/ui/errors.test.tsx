import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';

import { calls, explain, requests, runs, type ErrorText } from '../../src/i18n/errors';
import { en } from '../../src/i18n/en';
import { more } from '../../src/i18n/more';
import { ErrorNote } from '../../src/ui/ErrorNote';
import { show } from './show';

const source = (file: string) => readFileSync(join(__dirname, '../../..', file), 'utf8');

/** The codes that a Go file declares as constants whose names begin so. */
function declared(file: string, prefix: string): string[] {
  const all = [...source(file).matchAll(new RegExp(`^\\s*${prefix}[A-Z]\\w*\\s*=\\s*"(\\w+)"`, 'gm'))];
  return all.map((m) => m[1]!).sort();
}

describe('[56] every code of the server has its words', () => {
  test.each([
    ['a request', declared('edge/errors.go', 'code'), requests, 20],
    ['a run', declared('events/event.go', 'Fail'), runs, 10],
    ['a call', declared('events/event.go', 'Tool'), calls, 8],
  ])('of %s', (_, codes, texts: Readonly<Record<string, ErrorText>>, least) => {
    expect(codes.length).toBeGreaterThanOrEqual(least);
    expect(codes.filter((code) => !Object.hasOwn(texts, code))).toEqual([]);
  });

  test("what the page's own code throws has them too", () => {
    const files = ['net/api.ts', 'net/session.ts', 'core/commands.ts', 'core/errors.ts'];
    const codes = files.flatMap((f) =>
      [...source(`frontend/src/${f}`).matchAll(/(?:ApiError|Failure)\('(\w+)'|code: '(\w+)'/g)].map(
        (m) => m[1] ?? m[2]!,
      ),
    );
    expect(codes).toContain('network');
    expect(codes.filter((code) => !Object.hasOwn(requests, code))).toEqual([]);
  });

  const all = Object.entries({ ...requests, ...runs, ...calls });
  test.each(all)('%s: what happened, what was kept, what to do', (_, text) => {
    for (const words of [text.what, text.kept, text.next]) expect(words).toMatch(/^[A-Z].*\.$/);
  });

  test('and no word of refreshing', () => {
    expect(JSON.stringify([en, more, requests, runs, calls])).not.toMatch(/refresh/i);
  });
});

test('[56] the server may say more about what happened; a code that came later is explained by it', () => {
  expect(explain('requests', 'invalid_message', 'The title is too long')).toMatchObject({
    what: 'The title is too long.',
  });
  expect(explain('requests', 'internal', 'panic: nil')).toMatchObject({ what: 'Something went wrong on the server.' });
  expect(explain('requests', 'from_the_future', 'The moon is full.')).toMatchObject({ what: 'The moon is full.' });
  expect(explain('runs', 'constructor', '').what).toBe('Something went wrong.');
  // What could not even be asked for is a request, whatever it was about.
  expect(explain('calls', 'offline', 'x').what).toBe('There is no connection.');
});

test('[56] the reference is copied whole', async () => {
  const user = userEvent.setup();
  show(<ErrorNote error={{ code: 'internal', message: 'x', requestId: 'req-0123456789' }} />);
  expect(await screen.findByText('Reference 23456789')).toBeInTheDocument();
  await user.click(screen.getByRole('button', { name: 'Copy the reference' }));
  expect(await navigator.clipboard.readText()).toBe('internal req-0123456789');
});
