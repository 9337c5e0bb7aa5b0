import { act, fireEvent, render, screen, waitFor, within } from '@testing-library/react';

import { App } from '../../src/app';
import { fold } from '../../src/core/fold';
import { StoreProvider } from '../../src/core/react';
import type { Kind } from '../../src/core/recording';
import type { Commit, Event as Fact } from '../../src/protocol/types';
import { marksOf } from '../../src/replay/Timeline';
import { saveChoice } from '../../src/ui/prefs';
import { createFakeStore } from './fakeStore';
import { at, browser, button, chat, draw, events, lease, live, log, ready, slider, tasks } from './replayScene';

// Each draws the whole page.
jest.setTimeout(15_000);
beforeEach(() => browser());
afterEach(() => {
  document.documentElement.style.direction = '';
});

describe('[67] an instant', () => {
  test('shows the chat and the tasks as they were, and what it changed', async () => {
    await draw('/c/c1/replay?n=3');
    await ready();
    expect(within(chat()).getByText('Add milk')).toBeInTheDocument();
    expect(within(chat()).getByText('Added “Milk”')).toBeInTheDocument();
    expect(within(chat()).queryByText('Milk is on it.')).toBeNull();
    expect(await within(tasks()).findByText('Pay rent')).toBeInTheDocument();
    const row = within(tasks()).getByText('Milk').closest('li')!;
    expect(within(row).getByText('added')).toBeInTheDocument();
    expect(within(tasks()).queryByText('Only now')).toBeNull();
    expect(screen.getByText('2 open')).toBeInTheDocument();
  });

  test('has no success before the result, and what it waited for by the clock of then', async () => {
    await draw('/c/c1/replay?n=2');
    await ready();
    expect(within(chat()).queryByText('Added “Milk”')).toBeNull();
    expect(within(chat()).getByText(/Running/)).toBeInTheDocument();
    expect(within(tasks()).queryByText('Milk')).toBeNull();
  });

  test('has what was done elsewhere meanwhile, and says so', async () => {
    await draw('/c/c1/replay?n=6');
    await ready();
    const done = (await within(tasks()).findByText('Pay rent')).closest('li')!;
    expect(done).toHaveTextContent(/done.*completed/);
    // Gone, and shown once more so that one sees it go.
    expect(within(tasks()).getByText('Milk').closest('li')).toHaveTextContent('deleted');
    expect(within(events()).getByText('Completed “Pay rent”')).toBeInTheDocument();
    expect(within(events()).getByText('· by hand')).toBeInTheDocument();
    expect(within(events()).getByText('· in another conversation')).toBeInTheDocument();
  });

  test('now is the live page: its chat, its tasks, its words being written', async () => {
    const { store, source } = await draw('/c/c1/replay');
    await ready();
    expect(slider()).toHaveAttribute('aria-valuetext', 'Now');
    expect(within(tasks()).getByText('Only now')).toBeInTheDocument();
    const next: Commit = {
      ...log[5]!,
      n: 9,
      commit_id: 'c1:9',
      events: [
        { type: 'message.accepted', message_id: 'm3', run_id: 'r3', parent_id: 'r2', text: 'And bread' },
        { type: 'run.started', run_id: 'r3', message_id: 'm3', model: 'demo', deadline: at(59) },
        { type: 'step.started', run_id: 'r3', step: 1, attempt: 1, lease, worker: 'w' },
      ],
    };
    source.commits = [...log, next];
    act(() =>
      store.set({
        open: {
          id: 'c1',
          status: 'live',
          state: fold(live, next),
          draft: { runId: 'r3', step: 1, attempt: 1, text: 'Bread is com' },
        },
      }),
    );
    expect(await within(chat()).findByText('And bread')).toBeInTheDocument();
    expect(within(chat()).getByText('Bread is com')).toBeInTheDocument();
    expect(slider()).toHaveAttribute('aria-valuemax', '10');
    expect(slider()).toHaveAttribute('aria-valuetext', 'Now');
  });

  test('nothing can be changed in it, and the page says so', async () => {
    const { store, user } = await draw('/c/c1/replay?n=8');
    await ready();
    expect(screen.getByText('Read only')).toBeInTheDocument();
    expect(screen.getByText(/^as it was at .*Nov.*2026$/)).toBeInTheDocument();
    for (const name of ['Edit and resend', 'Answer again', 'Good answer', 'Try again', 'Undo', 'Send']) {
      expect(screen.queryByRole('button', { name })).toBeNull();
    }
    expect(screen.queryByRole('checkbox')).toBeNull();
    expect(screen.queryByRole('textbox')).toBeNull();
    // What only shows more still works.
    await user.click(within(chat()).getByRole('button', { name: /Could not complete #99/ }));
    expect(within(chat()).getByText(/tasks · complete_task/)).toBeInTheDocument();
    const acts = new Set(store.calls.map((c) => c.name));
    acts.delete('openConversation');
    acts.delete('read');
    expect([...acts]).toEqual([]);
  });

  test('lets one look at the other branch of then', async () => {
    const again: Commit = {
      ...log[5]!,
      n: 9,
      commit_id: 'c1:9',
      events: [{ type: 'message.accepted', message_id: 'm3', run_id: 'r3', parent_id: 'r1', text: 'Complete 98' }],
    };
    const begun: Fact = { type: 'run.started', run_id: 'r3', message_id: 'm3', model: 'demo', deadline: at(59) };
    const { user } = await draw('/c/c1/replay?n=9', {
      commits: [...log, again, { ...again, n: 10, commit_id: 'x', events: [begun] }],
    });
    await ready();
    expect(screen.getByRole('list', { name: 'Waiting messages' })).toHaveTextContent('Complete 98');
    expect(screen.queryByRole('button', { name: 'Remove the queued message' })).toBeNull();
    await user.click(button('Next instant'));
    await user.click(within(chat()).getByRole('button', { name: 'Previous version' }));
    expect(within(chat()).getByText('Complete 99')).toBeInTheDocument();
    expect(within(chat()).queryByText('Complete 98')).toBeNull();
  });
});

describe('[66] the player', () => {
  test('is a slider that says where it stands, with keys', async () => {
    await draw('/c/c1/replay?n=3');
    await ready();
    expect(slider()).toHaveAttribute('aria-valuemin', '1');
    expect(slider()).toHaveAttribute('aria-valuemax', '9');
    expect(slider()).toHaveAttribute('aria-valuenow', '3');
    expect(slider()).toHaveAttribute(
      'aria-valuetext',
      expect.stringMatching(/^Instant 3 of 8, .*:41:02, Added “Milk”$/),
    );
    slider().focus();
    const press = (key: string, more = {}) => fireEvent.keyDown(slider(), { key, ...more });
    const now = () => slider().getAttribute('aria-valuenow');
    press('ArrowRight');
    expect(now()).toBe('4');
    press('ArrowUp');
    expect(now()).toBe('5');
    press('ArrowDown');
    press('ArrowLeft');
    expect(now()).toBe('3');
    press('ArrowRight', { shiftKey: true });
    expect(now()).toBe('7');
    press('ArrowRight', { shiftKey: true });
    expect(now()).toBe('8');
    press('ArrowRight', { shiftKey: true });
    expect(now()).toBe('8');
    press('ArrowLeft', { shiftKey: true });
    expect(now()).toBe('7');
    press('End');
    expect(slider()).toHaveAttribute('aria-valuetext', 'Now');
    press('ArrowRight');
    expect(now()).toBe('9');
    press('PageDown');
    expect(now()).toBe('8');
    press('Home');
    expect(now()).toBe('1');
    press('ArrowLeft');
    expect(now()).toBe('1');
  });

  test('[62] without keys that act alone they work on the slider only', async () => {
    act(() => saveChoice('keys', 'off'));
    await draw('/c/c1/replay?n=3');
    await ready();
    const now = () => slider().getAttribute('aria-valuenow');
    fireEvent.keyDown(document.body, { key: 'ArrowLeft' });
    fireEvent.keyDown(document.body, { key: ' ' });
    expect(now()).toBe('3');
    expect(screen.queryByRole('button', { name: 'Pause' })).toBeNull();
    fireEvent.keyDown(slider(), { key: 'ArrowLeft' });
    expect(now()).toBe('2');
    act(() => saveChoice('keys', 'on'));
    fireEvent.keyDown(document.body, { key: 'ArrowLeft' });
    expect(now()).toBe('1');
  });

  test('the keys work everywhere, except where they mean something else', async () => {
    const { user } = await draw('/c/c1/replay?n=3');
    await ready();
    const now = () => slider().getAttribute('aria-valuenow');
    chat().closest<HTMLElement>('#messages')!.focus();
    await user.keyboard('{ArrowRight}');
    expect(now()).toBe('4');
    screen.getByRole('searchbox', { name: 'Search conversations' }).focus();
    await user.keyboard('{ArrowRight} {Home}');
    expect(now()).toBe('4');
    await user.keyboard('{Control>}{ArrowRight}{/Control}{Alt>}{ArrowRight}{/Alt}');
    expect(now()).toBe('4');
    await user.click(button('Speed: 1×'));
    await user.keyboard('{ArrowRight}{End}{Escape}');
    expect(now()).toBe('4');
  });

  test('reads from the right where the page does', async () => {
    document.documentElement.style.direction = 'rtl';
    await draw('/c/c1/replay?n=3');
    await ready();
    fireEvent.keyDown(document.body, { key: 'ArrowLeft' });
    expect(slider()).toHaveAttribute('aria-valuenow', '4');
  });

  test('follows the pointer, and a drag is one entry in the history', async () => {
    await draw('/c/c1/replay?n=3');
    const line = (await ready()).firstElementChild!;
    line.getBoundingClientRect = () => ({ left: 100, width: 800 }) as DOMRect;
    slider().setPointerCapture = () => undefined;
    const entries = history.length;
    fireEvent(slider(), pointer('pointerdown', 100));
    expect(slider()).toHaveAttribute('aria-valuenow', '1');
    fireEvent(slider(), pointer('pointermove', 449));
    expect(slider()).toHaveAttribute('aria-valuenow', '4');
    fireEvent(slider(), pointer('pointermove', 5000));
    expect(slider()).toHaveAttribute('aria-valuetext', 'Now');
    fireEvent(slider(), pointer('pointerup', 510));
    expect(location.search).toBe('?n=5');
    expect(history.length).toBe(entries + 1);
    fireEvent(slider(), pointer('pointermove', 100));
    expect(slider()).toHaveAttribute('aria-valuenow', '5');
  });

  test('steps, jumps, and is at its ends without losing the focus', async () => {
    const { user } = await draw('/c/c1/replay?n=1');
    await ready();
    expect(button('Previous instant')).toHaveAttribute('aria-disabled', 'true');
    await user.click(button('Next tool call or error'));
    expect(slider()).toHaveAttribute('aria-valuenow', '2');
    await user.click(button('Next instant'));
    await user.click(button('Next tool call or error'));
    expect(slider()).toHaveAttribute('aria-valuenow', '7');
    await user.click(button('To now'));
    expect(slider()).toHaveAttribute('aria-valuetext', 'Now');
    expect(button('To now')).toHaveFocus();
    await user.click(button('Previous tool call or error'));
    expect(slider()).toHaveAttribute('aria-valuenow', '8');
    await user.click(button('To the first instant'));
    expect(slider()).toHaveAttribute('aria-valuenow', '1');
  });

  test('plays in the tempo of then, pauses, and ends at now', async () => {
    await draw('/c/c1/replay?n=3');
    await ready();
    jest.useFakeTimers();
    try {
      const now = () => Number(slider().getAttribute('aria-valuenow'));
      const pass = (ms: number) => act(() => jest.advanceTimersByTime(ms));
      fireEvent.keyDown(document.body, { key: ' ' });
      expect(button('Pause')).toBeInTheDocument();
      pass(990);
      expect(now()).toBe(3);
      pass(20);
      expect(now()).toBe(4);
      fireEvent.keyDown(document.body, { key: ' ' });
      pass(60_000);
      expect(now()).toBe(4);
      fireEvent.click(button('Speed: 1×'));
      fireEvent.click(screen.getByRole('menuitemradio', { name: '4×' }));
      fireEvent.click(button('Play'));
      pass(510); // two seconds were then between 4 and 5
      expect(now()).toBe(5);
      pass(510); // fifteen, which nobody waits for
      expect(now()).toBe(6);
      fireEvent.click(button('Speed: 4×'));
      fireEvent.click(screen.getByRole('menuitemradio', { name: 'Max' }));
      for (let i = 0; i < 3; i++) pass(1);
      expect(now()).toBe(9);
      expect(button('Play')).toBeInTheDocument();
      // From the end it begins again.
      fireEvent.click(button('Play'));
      expect(now()).toBe(1);
      // Taking hold of it stops it.
      fireEvent.keyDown(document.body, { key: 'ArrowRight' });
      expect(button('Play')).toBeInTheDocument();
    } finally {
      jest.useRealTimers();
    }
  });

  test('says where it stands to those who listen, unless the slider has said it', async () => {
    const { user } = await draw('/c/c1/replay?n=1');
    await ready();
    const status = () => screen.getByRole('status').textContent;
    slider().focus();
    fireEvent.keyDown(slider(), { key: 'ArrowRight' });
    expect(status()).toBe('');
    await user.click(button('Next instant'));
    await waitFor(() => expect(status()).toMatch(/^Instant 3 of 8/));
  });

  test.each([
    [8, 8],
    [120, 120],
    [121, 61],
    [5000, 120],
  ])('draws %d instants as %d marks, and no error is lost', (n, marks) => {
    const kinds: Kind[] = Array.from({ length: n }, (_, i) => (i % 5 === 0 ? 'user' : 'other'));
    kinds[n - 3] = 'error';
    const drawn = marksOf(kinds);
    expect(drawn.length).toBeLessThanOrEqual(marks);
    expect(drawn.filter((m) => m.kind === 'error')).toEqual([{ at: n - 2, kind: 'error' }]);
    expect(marksOf([])).toEqual([]);
  });
});

function pointer(type: string, clientX: number): Event {
  // jsdom's mouse events have what a pointer's need here.
  return Object.assign(new MouseEvent(type, { bubbles: true, clientX, button: 0 }), { pointerId: 1 });
}

describe('[66] reading the history', () => {
  test('that cannot be read says why, and tries again', async () => {
    const refused = Object.assign(new Error('The server cannot be reached.'), { code: 'network' });
    const { source, user } = await draw('/c/c1/replay?n=3', { broken: () => refused });
    expect(await screen.findByRole('alert')).toHaveTextContent('The server cannot be reached.');
    expect(screen.getByText('The history could not be read.')).toBeInTheDocument();
    delete source.broken;
    await user.click(button('Try again'));
    expect(await ready()).toHaveAttribute('aria-valuenow', '3');
  });

  test('without the tasks of then still plays the chat', async () => {
    const { source, user } = await draw('/c/c1/replay?n=3', {
      broken: (path) => (path.startsWith('tasks') ? new Error('no Postgres') : undefined),
    });
    await ready();
    expect(await within(tasks()).findByText('What the tasks were then could not be read.')).toBeInTheDocument();
    expect(within(chat()).getByText('Added “Milk”')).toBeInTheDocument();
    delete source.broken;
    await user.click(within(tasks()).getByRole('button', { name: 'Retry' }));
    expect(await within(tasks()).findByText('Pay rent')).toBeInTheDocument();
  });

  test('of nobody’s conversation is not found', async () => {
    history.replaceState(null, '', '/c/c1/replay');
    const store = createFakeStore({ open: { id: 'c1', status: 'not-found', state: live } });
    render(
      <StoreProvider store={store}>
        <App />
      </StoreProvider>,
    );
    expect(await screen.findByText('This conversation does not exist, or it is not yours.')).toBeInTheDocument();
  });
});

describe('[66] on a phone', () => {
  test('events and tasks are two tabs, above the player', async () => {
    browser(390);
    const { user } = await draw('/c/c1/replay?n=3');
    await ready();
    expect(screen.getByRole('tab', { name: 'Events' })).toHaveAttribute('aria-selected', 'true');
    expect(within(screen.getByRole('tabpanel')).getByRole('listbox', { name: 'Events' })).toBeInTheDocument();
    screen.getByRole('tab', { name: 'Events' }).focus();
    await user.keyboard('{ArrowRight}');
    const tab = screen.getByRole('tab', { name: 'Tasks then · 2 open' });
    expect(tab).toHaveFocus();
    expect(slider()).toHaveAttribute('aria-valuenow', '3');
    expect(within(screen.getByRole('tabpanel')).getByText('Pay rent')).toBeInTheDocument();
    expect(screen.queryByRole('listbox', { name: 'Events' })).toBeNull();
  });

  test('a task in the chat leads to it in its tab', async () => {
    browser(390);
    const { user } = await draw('/c/c1/replay?n=3');
    await ready();
    await user.click(within(chat()).getByRole('button', { name: 'Show task #3' }));
    await waitFor(() => expect(screen.getByText('Milk', { selector: 'li *' }).closest('li')).toHaveFocus());
  });
});
