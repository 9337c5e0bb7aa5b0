import { act, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';

import { App } from '../../src/app';
import { StoreProvider } from '../../src/core/react';
import type { AppState } from '../../src/core/state';
import { groupByDay } from '../../src/sidebar/groups';
import { conversation, createFakeStore, run, summary, task } from './fakeStore';
import { callsOf } from './show';
import './dialog';

let width = 1280;

beforeEach(() => {
  width = 1280;
  localStorage.clear();
  history.replaceState(null, '', '/');
  window.matchMedia = ((query: string) => {
    const min = /min-width: (\d+)px/.exec(query)?.[1];
    return {
      matches: min !== undefined && width >= Number(min),
      addEventListener: () => undefined,
      removeEventListener: () => undefined,
    };
  }) as unknown as typeof window.matchMedia;
});

function draw(state: Partial<AppState> = {}) {
  const store = createFakeStore(state);
  const result = render(
    <StoreProvider store={store}>
      <App />
    </StoreProvider>,
  );
  return { ...result, store, user: userEvent.setup() };
}

const list = (): AppState['conversations'] => ({
  items: [
    summary('c1', 'Weekly plan', 0),
    summary('c2', 'Invoices', 0, { n: 30, read_n: 10 }),
    summary('c3', 'Trip', 24 * 60, { pinned: true }),
  ],
  status: 'ready',
  hasMore: false,
});

describe('signing in', () => {
  test('one click with the name that stands there', async () => {
    const { store, user } = draw({ session: { status: 'signed-out' } });
    await user.click(await screen.findByRole('button', { name: 'Continue as ana' }));
    expect(callsOf(store, 'signInAs')).toEqual([['ana']]);
  });

  test('a name that cannot be is refused here', async () => {
    const { store, user } = draw({ session: { status: 'signed-out' } });
    const field = await screen.findByRole('textbox', { name: /Your name/ });
    await user.clear(field);
    await user.type(field, 'a.b{Enter}');
    expect(screen.getByText('A name has 1 to 64 letters, digits, _ or -.')).toBeInTheDocument();
    expect(callsOf(store, 'signInAs')).toEqual([]);
  });

  test('[54] an ended session is renewed over the page; what was typed stays', async () => {
    const { store, user } = draw();
    await user.type(screen.getByRole('textbox', { name: 'Message Parley' }), 'not lost');
    act(() => store.set({ session: { status: 'expired', userId: 'ana' } }));
    await user.click(await screen.findByRole('button', { name: 'Continue as ana' }));
    expect(callsOf(store, 'signInAs')).toEqual([['ana']]);
    act(() => store.set({ session: { status: 'signing-in', userId: 'ana' } }));
    act(() => store.set({ session: { status: 'signed-in', userId: 'ana' } }));
    expect(screen.getByRole('textbox', { name: 'Message Parley' })).toHaveValue('not lost');
    expect(screen.queryByRole('button', { name: 'Continue as ana' })).toBeNull();
  });
});

describe('the page', () => {
  test('[57] has landmarks, one h1 and links to skip', () => {
    draw({ conversations: list() });
    expect(screen.getByRole('navigation', { name: 'Conversations' })).toBeInTheDocument();
    expect(screen.getByRole('main')).toBeInTheDocument();
    expect(screen.getByRole('region', { name: 'Tasks' })).toBeInTheDocument();
    expect(screen.getAllByRole('heading', { level: 1 })).toHaveLength(1);
    expect(screen.getAllByRole('link', { name: /^Skip to/ })).toHaveLength(3);
  });

  test('follows the address, and goes to a conversation that has got its id', async () => {
    history.replaceState(null, '', '/c/c1');
    const { store } = draw({ conversations: list() });
    expect(callsOf(store, 'openConversation')).toEqual([['c1']]);
    act(() => store.arrive('c9'));
    await waitFor(() => expect(location.pathname).toBe('/c/c9'));
  });

  test.each([
    ['[43] an address of nothing', '/nowhere', undefined, 'This address leads nowhere.'],
    [
      '[43] a conversation of nobody',
      '/c/x',
      'not-found' as const,
      'This conversation does not exist, or it is not yours.',
    ],
  ])('%s', (_, path, status, text) => {
    history.replaceState(null, '', path);
    draw(status ? { open: { id: 'x', status, state: conversation('x', '', []) } } : {});
    expect(screen.getByText(text)).toBeInTheDocument();
    expect(screen.queryByRole('textbox', { name: 'Message Parley' })).toBeNull();
  });

  test('[66] on a phone the replay is in the menu, and the title has the room', async () => {
    width = 390;
    history.replaceState(null, '', '/c/c1');
    const { user } = draw({ open: { id: 'c1', status: 'live', state: conversation('c1', 'Weekly plan', []) } });
    expect(screen.queryByRole('button', { name: 'Replay' })).toBeNull();
    expect(screen.getByRole('button', { name: 'Open the tasks' })).not.toHaveTextContent('Tasks');
    await user.click(screen.getByRole('button', { name: 'More about “Weekly plan”' }));
    await user.click(screen.getByRole('menuitem', { name: 'Replay' }));
    expect(location.pathname).toBe('/c/c1/replay');
  });

  test('below 900 px both panels are sheets', async () => {
    width = 390;
    const { user } = draw({
      conversations: list(),
      tasks: { byId: { 1: task(1, 'Milk') }, status: 'ready', rev: 1, changed: {} },
    });
    expect(screen.queryByRole('region', { name: 'Tasks' })).toBeNull();
    expect(screen.queryByText('Invoices')).toBeNull();
    await user.click(screen.getByRole('button', { name: 'Open the tasks' }));
    expect(within(screen.getByRole('dialog', { name: 'Tasks' })).getByText('Milk')).toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Hide the tasks' }));
    await user.click(screen.getByRole('button', { name: 'Open the conversations' }));
    await user.click(screen.getByRole('link', { name: /Invoices/ }));
    expect(location.pathname).toBe('/c/c2');
    expect(screen.queryByText('Invoices')).toBeNull();
  });

  test('[62] shortcuts: new chat, search, tasks, list', async () => {
    history.replaceState(null, '', '/c/c1');
    const { user } = draw({ conversations: list() });
    await user.keyboard('{Control>}{Shift>}o{/Shift}{/Control}');
    expect(location.pathname).toBe('/');
    await user.keyboard('{Control>}.{/Control}');
    expect(screen.queryByRole('region', { name: 'Tasks' })).toBeNull();
    await user.keyboard('{Control>}k{/Control}');
    await waitFor(() => expect(screen.getByRole('searchbox')).toHaveFocus());
    await user.keyboard('{Control>}/{/Control}');
    expect(screen.getByRole('dialog', { name: 'Keyboard shortcuts' })).toBeInTheDocument();
  });

  test('[62] shortcuts of a single key can be turned off, and stay so', async () => {
    history.replaceState(null, '', '/c/c1');
    const going = run('r1', 'Hi', '', { status: 'in_progress', steps: [] });
    const { store, user } = draw({ open: { id: 'c1', status: 'live', state: conversation('c1', 'x', [going]) } });
    await user.keyboard('{Escape}');
    expect(callsOf(store, 'stop')).toHaveLength(1);
    await user.keyboard('{Control>}/{/Control}');
    await user.click(await screen.findByRole('checkbox', { name: /Shortcuts of a single key/ }));
    await user.click(screen.getByRole('button', { name: 'Close' }));
    await user.keyboard('{Escape}');
    expect(callsOf(store, 'stop')).toHaveLength(1);
    await user.click(screen.getByRole('textbox', { name: 'Message Parley' }));
    await user.keyboard('{ArrowUp}');
    expect(screen.getByRole('textbox', { name: 'Message Parley' })).toHaveValue('');
    // Combinations go on.
    await user.keyboard('{Control>}/{/Control}');
    expect(await screen.findByRole('checkbox', { name: /Shortcuts of a single key/ })).not.toBeChecked();
    await user.click(screen.getByRole('checkbox', { name: /Shortcuts of a single key/ }));
    await user.click(screen.getByRole('button', { name: 'Close' }));
    await user.click(screen.getByRole('textbox', { name: 'Message Parley' }));
    await user.keyboard('{Escape}');
    expect(callsOf(store, 'stop')).toHaveLength(2);
  });

  test('[72] what the server offers no choice of is not asked', () => {
    draw({ conversations: list() });
    expect(screen.getByText('Demo model, no AI')).toBeInTheDocument();
    expect(screen.queryByRole('combobox')).toBeNull();
    expect(screen.queryByRole('slider')).toBeNull();
    expect(screen.queryByText(/temperature/i)).toBeNull();
  });

  test('[56] a panel that breaks leaves the others working', async () => {
    const quiet = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    const { store, user } = draw({ conversations: list() });
    const broken = task(1, 'Milk');
    Object.defineProperty(broken, 'title', {
      get() {
        throw new Error('broken');
      },
    });
    act(() => store.set({ tasks: { byId: { 1: broken }, status: 'ready', rev: 1, changed: {} } }));
    expect(screen.getByText('This part of the page has stopped working.')).toBeInTheDocument();
    expect(screen.getByRole('link', { name: /Invoices/ })).toBeInTheDocument();
    await user.type(screen.getByRole('textbox', { name: 'Message Parley' }), 'still here');
    act(() => store.set({ tasks: { byId: { 1: task(1, 'Milk') }, status: 'ready', rev: 2, changed: {} } }));
    await user.click(screen.getByRole('button', { name: 'Show it again' }));
    expect(screen.getByText('Milk')).toBeInTheDocument();
    expect(screen.getByRole('textbox', { name: 'Message Parley' })).toHaveValue('still here');
    quiet.mockRestore();
  });

  test('[63] the theme goes into a cookie and onto the page', async () => {
    const { user } = draw();
    await user.click(screen.getByRole('button', { name: 'Account and settings' }));
    await user.click(screen.getByRole('menuitemradio', { name: 'Dark' }));
    expect(document.documentElement).toHaveAttribute('data-theme', 'dark');
    expect(document.cookie).toContain('theme=dark');
    await user.click(screen.getByRole('button', { name: 'Account and settings' }));
    await user.click(screen.getByRole('menuitemradio', { name: 'System' }));
    expect(document.documentElement).toHaveAttribute('data-theme', 'system');
    expect(document.cookie).not.toContain('theme=');
  });
});

test('[17] how the transcript moves while an answer is written is chosen in the account menu', async () => {
  const { user } = draw();
  const choose = async (name: string) => {
    await user.click(screen.getByRole('button', { name: 'Account and settings' }));
    await user.click(screen.getByRole('menuitemradio', { name }));
  };
  await choose('Keep my question at the top');
  expect(localStorage.getItem('parley.view.follow')).toBe('question');
  await user.click(screen.getByRole('button', { name: 'Account and settings' }));
  expect(screen.getByRole('menuitemradio', { name: 'Keep my question at the top' })).toBeChecked();
  await user.click(screen.getByRole('menuitemradio', { name: 'Follow its end' }));
  expect(localStorage.getItem('parley.view.follow')).toBe('end');
});

describe('conversations', () => {
  test('[45] [48] are grouped by day, those that are pinned first', () => {
    const now = new Date('2026-11-23T12:00:00');
    const at = (s: string) => ({ updated_at: new Date(s).toISOString() });
    const groups = groupByDay(
      [
        summary('a', 'a', 0, at('2026-11-23T08:00:00')),
        summary('b', 'b', 0, at('2026-11-22T23:59:00')),
        summary('c', 'c', 0, at('2026-11-18T08:00:00')),
        summary('d', 'd', 0, { ...at('2026-10-01T08:00:00'), pinned: true }),
        summary('e', 'e', 0, at('2026-10-02T08:00:00')),
      ],
      now,
    );
    expect(groups.map((g) => [g.name, g.items.map((i) => i.conversation_id).join()])).toEqual([
      ['Pinned', 'd'],
      ['Today', 'a'],
      ['Yesterday', 'b'],
      ['Last 7 days', 'c'],
      ['October 2026', 'e'],
    ]);
  });

  test('[47] say which has a new reply', () => {
    draw({ conversations: list() });
    expect(screen.getByRole('link', { name: /Invoices.*new reply/ })).toBeInTheDocument();
    expect(screen.queryByRole('link', { name: /Weekly plan.*new reply/ })).toBeNull();
  });

  test('[44] [46] [48] are renamed, pinned and deleted from their menu', async () => {
    history.replaceState(null, '', '/c/c2');
    const { store, user } = draw({ conversations: list() });
    const pick = async (name: string) => {
      await user.click(screen.getByRole('button', { name: 'More about “Invoices”' }));
      await user.click(screen.getByRole('menuitem', { name }));
    };
    await pick('Rename');
    const field = screen.getByRole('textbox', { name: 'Title of the conversation' });
    await user.clear(field);
    await user.type(field, 'Bills{Enter}');
    expect(callsOf(store, 'rename')).toEqual([['c2', 'Bills']]);
    await pick('Pin');
    expect(callsOf(store, 'pin')).toEqual([['c2', true]]);
    await pick('Delete');
    expect(callsOf(store, 'remove')).toEqual([['c2']]);
    // Deleting what is on screen leads to a new chat.
    expect(location.pathname).toBe('/');
  });
});

describe('a lost connection', () => {
  test('[51] is told after two seconds, with a way to try at once', () => {
    jest.useFakeTimers();
    try {
      const { store } = draw();
      act(() => store.set({ connection: { status: 'offline', since: Date.now(), retryAt: Date.now() + 6000 } }));
      act(() => jest.advanceTimersByTime(1500));
      expect(screen.queryByRole('button', { name: 'Retry now' })).toBeNull();
      act(() => jest.advanceTimersByTime(600));
      expect(screen.getByText('Reconnecting in 4 s')).toBeInTheDocument();
      act(() => screen.getByRole('button', { name: 'Retry now' }).click());
      expect(callsOf(store, 'reconnectNow')).toHaveLength(1);
      act(() => store.set({ connection: { status: 'online', since: Date.now() } }));
      expect(screen.queryByRole('button', { name: 'Retry now' })).toBeNull();
    } finally {
      jest.useRealTimers();
    }
  });

  test('[51] a short one is told to nobody, though tries come and go', () => {
    jest.useFakeTimers();
    try {
      const { store } = draw();
      act(() => store.set({ connection: { status: 'offline', since: Date.now() } }));
      act(() => jest.advanceTimersByTime(1000));
      act(() => store.set({ connection: { status: 'connecting', since: Date.now() } }));
      act(() => jest.advanceTimersByTime(900));
      act(() => store.set({ connection: { status: 'online', since: Date.now() } }));
      act(() => jest.advanceTimersByTime(5000));
      expect(screen.queryByRole('button', { name: 'Retry now' })).toBeNull();
    } finally {
      jest.useRealTimers();
    }
  });
});

test('[55] a new version is offered between answers, never during one', () => {
  const busy = conversation('c1', 'x', [run('r1', 'Hi', '', { status: 'in_progress', steps: [] })]);
  const { store } = draw({ newVersion: '2', open: { id: 'c1', status: 'live', state: busy } });
  expect(screen.queryByRole('button', { name: 'Reload' })).toBeNull();
  act(() =>
    store.set({ open: { id: 'c1', status: 'live', state: conversation('c1', 'x', [run('r1', 'Hi', 'Hello')]) } }),
  );
  expect(screen.getByRole('button', { name: 'Reload' })).toBeInTheDocument();
});

test('toasts can be pressed inside an open dialog', async () => {
  width = 390;
  const undo = jest.fn();
  const { store, user } = draw();
  await user.click(screen.getByRole('button', { name: 'Open the tasks' }));
  act(() =>
    store.set({
      toasts: [{ id: 't', kind: 'undo', text: 'Deleted', action: { label: 'Undo', run: undo }, expiresAt: 0 }],
    }),
  );
  await user.click(within(screen.getByRole('dialog', { name: 'Tasks' })).getByRole('button', { name: 'Undo' }));
  expect(undo).toHaveBeenCalledTimes(1);
  expect(callsOf(store, 'dismissToast')).toEqual([['t']]);
});
