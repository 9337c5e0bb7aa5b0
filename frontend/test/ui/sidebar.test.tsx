import { act, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';

import { App } from '../../src/app';
import { StoreProvider } from '../../src/core/react';
import type { AppState } from '../../src/core/state';
import { conversation, createFakeStore, run, summary, type FakeStore } from './fakeStore';
import { callsOf } from './show';
import './dialog';

beforeEach(() => {
  localStorage.clear();
  history.replaceState(null, '', '/');
  window.matchMedia = ((query: string) => ({
    matches: query.includes('min-width'),
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
  })) as unknown as typeof window.matchMedia;
});
afterEach(() => visibility('visible'));

function visibility(state: 'visible' | 'hidden') {
  Object.defineProperty(document, 'visibilityState', { configurable: true, value: state });
  document.dispatchEvent(new Event('visibilitychange'));
}

function draw(state: Partial<AppState> = {}, prepare?: (store: FakeStore) => void) {
  const store = createFakeStore({
    conversations: {
      items: [summary('c1', 'Weekly plan', 0), summary('c2', 'Invoices', 0)],
      status: 'ready',
      hasMore: false,
    },
    ...state,
  });
  prepare?.(store);
  const result = render(
    <StoreProvider store={store}>
      <App />
    </StoreProvider>,
  );
  return { ...result, store, user: userEvent.setup() };
}

const live = (...runs: ReturnType<typeof run>[]): Partial<AppState> => ({
  open: { id: 'c1', status: 'live', state: conversation('c1', 'Weekly plan', runs) },
});

const at = '2026-11-23T10:41:00Z';
const hit = (run_id: string, by: string, ...excerpt: { text: string; hit?: true }[]) => ({
  run_id,
  message_id: `m-${run_id}`,
  by,
  time: at,
  excerpt,
});
const found = {
  data: [
    {
      conversation_id: 'c7',
      title: [{ text: 'Trip to the ' }, { text: 'milky', hit: true }, { text: ' way' }],
      archived: true,
      updated_at: at,
      hits: [
        hit('r2', 'model', { text: 'Added ' }, { text: 'milk', hit: true }),
        hit('r1', 'user', { text: 'Buy ' }, { text: 'Milk', hit: true }, { text: ' today' }),
      ],
      total: 5,
    },
  ],
  has_more: true,
  after: 'cursor',
};

/** Answers what the lazy views ask for. */
function answering(store: FakeStore, answer: (path: string, query: object) => unknown) {
  const asked: [string, object][] = [];
  store.on('read', (decode, path, query = {}) => {
    asked.push([path.join('/'), query]);
    const body = answer(path.join('/'), query);
    return body instanceof Error ? Promise.reject(body) : Promise.resolve(decode(body));
  });
  return asked;
}

const side = () => within(screen.getByRole('navigation', { name: 'Conversations' }));
const box = () => screen.getByRole('searchbox', { name: 'Search conversations' });

describe('[45] searching', () => {
  test('waits for a pause, and shows hits with their words marked', async () => {
    const { store, user } = draw();
    const asked = answering(store, () => found);
    await user.type(box(), 'milk');
    const results = await screen.findByRole('region', { name: 'Search results' });
    expect(asked).toEqual([['search', { q: 'milk' }]]);
    expect([...results.querySelectorAll('mark')].map((m) => m.textContent)).toEqual(['milky', 'milk', 'Milk']);
    expect(within(results).getByRole('link', { name: /Trip to the milky way.*archived/ })).toBeInTheDocument();
    expect(within(results).getByRole('link', { name: 'You: Buy Milk today' })).toHaveAttribute('href', '/c/c7?m=m-r1');
    expect(within(results).getByRole('link', { name: 'Parley: Added milk' })).toHaveAttribute('href', '/c/c7?m=r2');
    await user.keyboard('{Escape}');
    expect(screen.queryByRole('region', { name: 'Search results' })).toBeNull();
    expect(screen.getByRole('link', { name: 'Invoices' })).toBeInTheDocument();
  });

  test('a hit opens at its message, and the results stay', async () => {
    const { store, user } = draw();
    answering(store, () => found);
    await user.type(box(), 'milk');
    await user.click(await screen.findByRole('link', { name: 'You: Buy Milk today' }));
    expect(location.pathname + location.search).toBe('/c/c7?m=m-r1');
    expect(callsOf(store, 'openConversation').at(-1)).toEqual(['c7']);
    expect(screen.getByRole('link', { name: 'You: Buy Milk today' })).toHaveAttribute('aria-current', 'page');
  });

  test('by keyboard: down to the first, Enter opens it', async () => {
    const { store, user } = draw();
    answering(store, () => found);
    await user.type(box(), 'milk');
    await screen.findByRole('region', { name: 'Search results' });
    await user.keyboard('{ArrowDown}');
    expect(screen.getByRole('link', { name: /Trip to the milky way/ })).toHaveFocus();
    await user.click(box());
    await user.keyboard('{Enter}');
    expect(location.pathname).toBe('/c/c7');
  });

  test('more hits of one conversation, and older conversations', async () => {
    const { store, user } = draw();
    const [first] = found.data;
    const whole = { ...first, hits: [...first!.hits, hit('r0', 'user', { text: 'Oat milk' })], total: 3 };
    const asked = answering(store, (_, query) =>
      'conversation_id' in query
        ? { data: [whole], has_more: false }
        : 'after' in query
          ? { data: [{ ...first, conversation_id: 'c8', title: [{ text: 'Older' }], total: 2 }], has_more: false }
          : found,
    );
    await user.type(box(), 'milk');
    await user.click(await screen.findByRole('button', { name: '3 more hits in this conversation' }));
    expect(await screen.findByRole('link', { name: 'You: Oat milk' })).toBeInTheDocument();
    expect(asked.at(-1)).toEqual(['search', { q: 'milk', conversation_id: 'c7', limit: 50 }]);
    await user.click(screen.getByRole('button', { name: 'Show older results' }));
    expect(await screen.findByRole('link', { name: /Older/ })).toBeInTheDocument();
    expect(asked.at(-1)).toEqual(['search', { q: 'milk', after: 'cursor' }]);
    expect(screen.getByRole('link', { name: 'You: Oat milk' })).toBeInTheDocument();
    expect(screen.queryByRole('button', { name: 'Show older results' })).toBeNull();
  });

  test('nothing found, and a search that fails and is tried again', async () => {
    const { store, user } = draw();
    let fails = false;
    answering(store, () => (fails ? new Error('away') : { data: [], has_more: false }));
    await user.type(box(), 'xyz');
    expect(await side().findByText('Nothing found for “xyz”.')).toBeInTheDocument();
    fails = true;
    await user.type(box(), 'z');
    expect(await screen.findByRole('alert')).toHaveTextContent('The search did not work.');
    fails = false;
    await user.click(screen.getByRole('button', { name: 'Try again' }));
    expect(await side().findByText('Nothing found for “xyzz”.')).toBeInTheDocument();
  });

  test('an answer that comes late is not shown for other words', async () => {
    const { store, user } = draw();
    const waiting: ((v: unknown) => void)[] = [];
    store.on('read', async (decode) => decode(await new Promise((resolve) => waiting.push(resolve))));
    await user.type(box(), 'a');
    await waitFor(() => expect(waiting).toHaveLength(1));
    await user.type(box(), 'b');
    await waitFor(() => expect(waiting).toHaveLength(2));
    await act(async () => {
      waiting[1]!({ data: [], has_more: false });
      waiting[0]!(found);
      await Promise.resolve();
    });
    expect(side().getByText('Nothing found for “ab”.')).toBeInTheDocument();
    expect(screen.queryByText(/Trip to the/)).toBeNull();
  });
});

describe('[43] addresses', () => {
  const target = () => document.querySelector('[data-target]');
  beforeEach(() => {
    window.requestAnimationFrame = (f) => setTimeout(() => f(0), 0) as unknown as number;
    globalThis.CSS = { escape: (s: string) => s } as typeof CSS;
  });

  test('of a message brings it into view once, with the focus on it', async () => {
    history.replaceState(null, '', '/c/c1?m=m-r2');
    const runs = [run('r1', 'One', 'Uno'), run('r2', 'Two', 'Due')];
    const { store } = draw(live(...runs), (s) => s.on('find', () => Promise.resolve(runs[1])));
    await waitFor(() => expect(target()).toHaveAttribute('data-message', 'm-r2'));
    expect(target()).toHaveFocus();
    const times = callsOf(store, 'find').length;
    act(() => store.set(live(...runs, run('r3', 'Three', 'Tre'))));
    expect(callsOf(store, 'find')).toHaveLength(times);
  });

  test('of a message on another branch shows that branch', async () => {
    history.replaceState(null, '', '/c/c1?m=r2');
    const runs = [
      run('r1', 'One', 'Uno'),
      run('r2', 'Two', 'Due', { parent_id: 'r1' }),
      run('r3', 'Other', 'Altro', { parent_id: 'r1' }),
    ];
    draw(live(...runs), (s) => s.on('find', () => Promise.resolve(runs[1])));
    await waitFor(() => expect(location.search).toBe('?b=r2&m=r2'));
    await waitFor(() => expect(target()).toHaveAttribute('data-run', 'r2'));
  });

  test('of a message that is not there says so', async () => {
    history.replaceState(null, '', '/c/c1?m=nothing');
    const { store } = draw(live(run('r1', 'One', 'Uno')));
    await waitFor(() =>
      expect(callsOf(store, 'toast')).toEqual([['info', 'The message of this address is not in this conversation.']]),
    );
  });

  test('the time of a message is its address', async () => {
    history.replaceState(null, '', '/c/c1?b=r1');
    const { user } = draw(live(run('r1', 'One', 'Uno')));
    const [question, answer] = screen.getAllByRole('link', { name: /^Link to this message/ });
    expect(question).toHaveAttribute('href', '?m=m-r1');
    await user.click(answer!);
    expect(location.pathname + location.search).toBe('/c/c1?b=r1&m=r1');
  });

  test('Back and Forward go between conversations', async () => {
    const { store, user } = draw();
    await user.click(screen.getByRole('link', { name: 'Weekly plan' }));
    await user.click(screen.getByRole('link', { name: 'Invoices' }));
    act(() => history.back());
    await waitFor(() => expect(callsOf(store, 'openConversation').at(-1)).toEqual(['c1']));
    act(() => history.forward());
    await waitFor(() => expect(callsOf(store, 'openConversation').at(-1)).toEqual(['c2']));
  });

  test('what was deleted, here or elsewhere, says so and can be brought back', async () => {
    history.replaceState(null, '', '/c/c1');
    const { store, user } = draw(live(run('r1', 'One', 'Uno')));
    const state = { ...conversation('c1', 'Weekly plan', []), deleted: true };
    act(() => store.set({ open: { id: 'c1', status: 'live', state } }));
    expect(screen.getByRole('heading', { name: 'This conversation was deleted' })).toBeInTheDocument();
    expect(document.title).toBe('This conversation was deleted · Parley');
    expect(screen.queryByRole('textbox', { name: 'Message Parley' })).toBeNull();
    expect(within(screen.getByRole('main')).queryByRole('button', { name: /^More about/ })).toBeNull();
    await user.click(screen.getByRole('button', { name: 'Bring it back' }));
    expect(callsOf(store, 'restore')).toEqual([['c1']]);
  });
});

describe('[47] the title of the tab', () => {
  const busy = (id: string, more = {}) => summary(id, 'Invoices', 0, { status: 'in_progress', ...more });
  const items = (...list: ReturnType<typeof summary>[]) => ({ items: list, status: 'ready' as const, hasMore: false });

  test('says that a reply in another conversation is ready, until it is read', () => {
    history.replaceState(null, '', '/c/c1');
    const { store } = draw({ ...live(run('r1', 'One', 'Uno')), conversations: items(busy('c2')) });
    expect(document.title).toBe('Weekly plan · Parley');
    const ended = summary('c2', 'Invoices', 0, { n: 30, read_n: 20 });
    act(() => store.set({ conversations: items(ended) }));
    expect(document.title).toBe('● Reply ready · Invoices');
    act(() => store.set({ conversations: items({ ...ended, read_n: 30 }) }));
    expect(document.title).toBe('Weekly plan · Parley');
  });

  test('says that the reply here is ready only while the tab is away', () => {
    history.replaceState(null, '', '/c/c1');
    const going = run('r1', 'One', '', { status: 'in_progress', steps: [] });
    const { store } = draw(live(going));
    visibility('hidden');
    act(() => store.set(live(run('r1', 'One', 'Uno'))));
    expect(document.title).toBe('● Reply ready · Weekly plan');
    visibility('visible');
    expect(document.title).toBe('Weekly plan · Parley');
    act(() => store.set(live(going)));
    act(() => store.set(live(run('r1', 'One', 'Uno'))));
    expect(document.title).toBe('Weekly plan · Parley');
  });
});

describe('[48] what can be done with a conversation', () => {
  const pick = async (user: ReturnType<typeof userEvent.setup>, name: string, nth = 0) => {
    await user.click(screen.getAllByRole('button', { name: 'More about “Weekly plan”' })[nth]!);
    await user.click(screen.getByRole('menuitem', { name }));
  };

  test('it is archived from the list and from its head, and taken back from there', async () => {
    history.replaceState(null, '', '/c/c1');
    const { store, user } = draw(live(run('r1', 'One', 'Uno')));
    await pick(user, 'Archive', 0);
    await pick(user, 'Archive', 1);
    const state = { ...conversation('c1', 'Weekly plan', []), archived: true };
    act(() => store.set({ open: { id: 'c1', status: 'live', state } }));
    await pick(user, 'Take back', 1);
    expect(callsOf(store, 'archive')).toEqual([
      ['c1', true],
      ['c1', true],
      ['c1', false],
    ]);
  });

  test('the archived have a list of their own', async () => {
    const { store, user } = draw();
    const asked = answering(store, () => ({
      data: [summary('c9', 'Old plan', 900, { archived: true })],
      has_more: false,
    }));
    await user.click(screen.getByRole('button', { name: 'Archived' }));
    expect(await screen.findByRole('link', { name: 'Old plan' })).toHaveAttribute('href', '/c/c9');
    expect(asked).toEqual([['conversations', { archived: 'true', limit: 50 }]]);
    expect(screen.getByRole('button', { name: 'Back to the conversations' })).toHaveFocus();
    await user.click(screen.getByRole('button', { name: 'Take “Old plan” back' }));
    expect(callsOf(store, 'archive')).toEqual([['c9', false]]);
    expect(screen.queryByRole('link', { name: 'Old plan' })).toBeNull();
    await user.click(screen.getByRole('button', { name: 'Back to the conversations' }));
    expect(screen.getByRole('link', { name: 'Weekly plan' })).toBeInTheDocument();
  });

  test.each([
    ['Export as Markdown', 'markdown', 'Weekly plan.md'],
    ['Export as JSON lines', 'jsonl', 'Weekly plan.jsonl'],
  ])('%s saves all of it under its title', async (item, format, name) => {
    history.replaceState(null, '', '/c/c1');
    const saved: string[] = [];
    URL.createObjectURL = () => 'blob:x';
    URL.revokeObjectURL = () => undefined;
    jest.spyOn(HTMLAnchorElement.prototype, 'click').mockImplementation(function (this: HTMLAnchorElement) {
      saved.push(this.download);
    });
    const { store, user } = draw(live(run('r1', 'One', 'Uno')));
    await pick(user, item, 1);
    await waitFor(() => expect(saved).toEqual([name]));
    expect(callsOf(store, 'readText')).toEqual([[['conversations', 'c1', 'export'], { format }]]);
    jest.restoreAllMocks();
  });

  test('printing reads all of it first, and draws what is folded or not on screen', async () => {
    history.replaceState(null, '', '/c/c1');
    const long = 'word '.repeat(1000);
    const { store, user } = draw(live(run('r2', 'Two', 'Due')));
    store.on('loadAll', () => {
      store.set(live(run('r1', long, 'The **first** answer'), run('r2', 'Two', 'Due', { parent_id: 'r1' })));
      return Promise.resolve();
    });
    let paper = '';
    window.print = () => {
      paper = document.querySelector('.sheet-of-paper')?.textContent ?? '';
    };
    await pick(user, 'Print', 1);
    await waitFor(() => expect(paper).toContain('Due'));
    expect(paper).toContain('Weekly plan');
    expect(paper).toContain(long);
    expect(paper).toContain('The first answer');
    act(() => void window.dispatchEvent(new Event('afterprint')));
    expect(document.querySelector('.sheet-of-paper')).toBeNull();
  });
});
