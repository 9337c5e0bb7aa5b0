import { act, render, screen } from '@testing-library/react';
import { memo } from 'react';

import { settle, signedIn } from '../../test/unit/page';
import { path } from './path';
import { shallow, StoreProvider, useActions, useStore } from './react';

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

/** How often each row was drawn. */
const drawn = new Map<string, number>();
const count = (id: string) => drawn.set(id, (drawn.get(id) ?? 0) + 1);

const Row = memo(function Row({ id }: { id: string }) {
  count(id);
  const run = useStore((s) => s.open?.state.runs.find((r) => r.run_id === id));
  const draft = useStore((s) => (s.open?.draft?.runId === id ? s.open.draft.text : undefined));
  return (
    <li>
      {run?.message.text}: {run?.steps?.map((s) => s.text).join() ?? draft}
    </li>
  );
});

function List() {
  const ids = useStore((s) => (s.open ? path(s.open.state).map((r) => r.run_id) : []), shallow);
  const actions = useActions();
  return (
    <>
      <ul>
        {ids.map((id) => (
          <Row key={id} id={id} />
        ))}
      </ul>
      <button onClick={() => actions.send('And?')}>ask</button>
    </>
  );
}

it('draws a row again only if its own run has changed', async () => {
  drawn.clear();
  const { store, server } = await signedIn();
  const first = server.ask('c1', 'One');
  server.finish('c1');
  store.actions.openConversation('c1');
  await settle(5000);
  render(
    <StoreProvider store={store}>
      <List />
    </StoreProvider>,
  );
  expect(drawn).toEqual(new Map([[first, 1]]));
  await act(async () => {
    screen.getByText('ask').click();
    await settle();
  });
  const second = server.state('c1').runs[1]!.run_id;
  const before = drawn.get(second)!;
  for (const word of ['a ', 'b ', 'c']) {
    await act(async () => {
      server.write('c1', word);
      await settle(100);
    });
  }
  expect(screen.getByText('And?: a b c')).toBeInTheDocument();
  expect(drawn.get(first)).toBe(1);
  expect(drawn.get(second)! - before).toBeLessThanOrEqual(4);
});

it('says what is missing without a provider', () => {
  jest.spyOn(console, 'error').mockImplementation(() => undefined);
  expect(() => render(<List />)).toThrow('no StoreProvider');
  jest.restoreAllMocks();
});

it.each([
  [[1, 2], [1, 2], true],
  [[1, 2], [1, 3], false],
  [[1], [1, 2], false],
  [{ a: 1 }, { a: 1 }, true],
  [{ a: 1 }, { b: 1 }, false],
  [undefined, undefined, true],
  [null, {}, false],
])('shallow(%j, %j) is %s', (a, b, want) => {
  expect(shallow<unknown>(a, b)).toBe(want);
});
