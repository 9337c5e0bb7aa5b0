import { act, fireEvent, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import type { ReactNode } from 'react';

import { FindBar } from '../../src/chat/FindBar';
import { findIn, rangesIn } from '../../src/chat/find';
import { createRows, Row } from '../../src/chat/Row';
import { run } from './fakeStore';
import { show } from './show';

const runs = [
  run('r1', 'Where is the MILK?', 'The milk is **in** the fridge. Milk!'),
  run('r2', 'And bread?', 'There is none.'),
  run('r3', 'Add milk', 'Done.'),
];

test('[71] finds words in messages and answers, without case, in order', () => {
  expect(findIn(runs, ' milk ').map((h) => `${h.runId} ${h.place} ${h.index}`)).toEqual([
    'r1 message 0',
    'r1 answer 0',
    'r1 answer 1',
    'r3 message 0',
  ]);
  expect(findIn(runs, '')).toEqual([]);
  expect(findIn(runs, 'cheese')).toEqual([]);
  expect(findIn([run('r', 'a'.repeat(9999), '')], 'a')).toHaveLength(2000);
});

test('[71] marks what is drawn', () => {
  const p = document.createElement('p');
  p.innerHTML = 'Milk and <b>mi</b>lk, İ milk';
  expect(rangesIn(p, 'milk').map((r) => r.startOffset)).toEqual([0]);
});

test('[71] goes from hit to hit from the newest on, reads older pages, and closes', async () => {
  const user = userEvent.setup();
  const seen: string[] = [];
  const reveal = (id: string) => {
    seen.push(id);
    return Promise.resolve(undefined);
  };
  const loadOlder = jest.fn(() => Promise.resolve());
  const close = jest.fn();
  const bar = (some: typeof runs, hasMore: boolean) => (
    <FindBar
      runs={some}
      hasMore={hasMore}
      loadOlder={loadOlder}
      onReveal={reveal}
      onShow={() => undefined}
      onClose={close}
    />
  );
  const { rerender } = show(bar(runs.slice(1), true));
  const field = screen.getByRole('textbox', { name: 'Find in this conversation' });
  expect(field).toHaveFocus();
  expect(loadOlder).toHaveBeenCalledTimes(1);
  await user.type(field, 'milk');
  const status = () =>
    screen
      .getAllByRole('status')
      .map((el) => el.textContent)
      .join('');
  expect(status()).toContain('1 of 1 Reading older messages…');
  rerender(bar(runs, false));
  // What is looked at stays while older hits come in above it.
  await waitFor(() => expect(status()).toContain('4 of 4'));
  await user.keyboard('{Shift>}{Enter}{/Shift}');
  expect(status()).toContain('3 of 4');
  await user.keyboard('{Enter}{Enter}');
  expect(status()).toContain('1 of 4');
  await user.click(screen.getByRole('button', { name: 'Previous hit' }));
  expect(status()).toContain('4 of 4');
  expect(seen.at(-1)).toBe('r3');
  await user.type(field, '{Escape}');
  expect(close).toHaveBeenCalledTimes(1);
});

describe('a long transcript', () => {
  let tell: IntersectionObserverCallback;
  const watched = new Set<Element>();
  beforeEach(() => {
    watched.clear();
    globalThis.IntersectionObserver = class {
      constructor(f: IntersectionObserverCallback) {
        tell = f;
      }
      observe = (el: Element) => void watched.add(el);
      unobserve = (el: Element) => void watched.delete(el);
      disconnect = () => undefined;
    } as unknown as typeof IntersectionObserver;
  });
  afterEach(() => Reflect.deleteProperty(globalThis, 'IntersectionObserver'));

  const entry = (target: Element, isIntersecting: boolean, height: number) =>
    ({ target, isIntersecting, boundingClientRect: { height } }) as IntersectionObserverEntry;
  const look = (...entries: IntersectionObserverEntry[]) =>
    act(() => tell(entries, {} as unknown as IntersectionObserver));

  function draw(children: ReactNode = <button>inside</button>, always = false) {
    const rows = createRows((draw) => draw());
    const { container, unmount } = show(
      <Row id="r1" rows={rows} always={always}>
        {children}
      </Row>,
    );
    return { rows, row: container.querySelector<HTMLElement>('[data-row]')!, unmount };
  }

  test('[71] draws what is near, and keeps the place of what is not', () => {
    const { row, unmount } = draw();
    expect(row).toBeEmptyDOMElement();
    expect(row.style.height).toBe('180px');
    look(entry(row, true, 180));
    expect(row).toHaveTextContent('inside');
    expect(row.style.height).toBe('');
    look(entry(row, false, 321));
    expect(row).toBeEmptyDOMElement();
    expect(row.style.height).toBe('321px');
    unmount();
    expect(watched.size).toBe(0);
  });

  test('[71] draws the newest wherever one is, and any for print and search', () => {
    expect(draw('new', true).row).toHaveTextContent('new');
    const { rows, row } = draw();
    act(() => rows?.reveal('r1'));
    expect(row).toHaveTextContent('inside');
    look(entry(row, false, 100));
    expect(row).toBeEmptyDOMElement();
    act(() => rows?.revealAll());
    expect(row).toHaveTextContent('inside');
  });

  test('[71] keeps what its reader is about', () => {
    const { row } = draw();
    look(entry(row, true, 100));
    act(() => screen.getByRole('button').focus());
    look(entry(row, false, 100));
    expect(row).toHaveTextContent('inside');
    act(() => screen.getByRole('button').blur());
    look(entry(row, false, 100));
    expect(row).toBeEmptyDOMElement();
  });

  test('[71] draws everything where the browser cannot tell', () => {
    Reflect.deleteProperty(globalThis, 'IntersectionObserver');
    const rows = createRows((draw) => draw());
    expect(rows).toBeUndefined();
    const { container } = show(
      <Row id="r1" rows={rows} always={false}>
        inside
      </Row>,
    );
    expect(container).toHaveTextContent('inside');
    fireEvent.scroll(container);
  });
});
