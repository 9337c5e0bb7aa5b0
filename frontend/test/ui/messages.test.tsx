import { act, fireEvent, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';

import { ChatInterface } from '../../src/chat/ChatInterface';
import type { AppState } from '../../src/core/state';
import { ago } from '../../src/i18n/format';
import { Markdown } from '../../src/markdown/Markdown';
import { MarkdownText } from '../../src/markdown/MarkdownText';
import type { Run } from '../../src/protocol/types';
import { Time } from '../../src/ui/Time';
import { call, conversation, run, task } from './fakeStore';
import { callsOf, show } from './show';

function draw(runs: readonly Run[], { tip, ...state }: Partial<AppState> & { tip?: string } = {}) {
  const onTip = jest.fn();
  const onTask = jest.fn();
  const result = show(<ChatInterface tip={tip} onTip={onTip} onTask={onTask} />, {
    open: { id: 'c1', status: 'live', state: conversation('c1', 'Plan', runs) },
    ...state,
  });
  return { ...result, onTip, onTask, user: userEvent.setup() };
}

const secondsAgo = (s: number) => new Date(Date.now() - s * 1000).toISOString();
const going = (more: Partial<Run> = {}) => run('r1', 'Hi', '', { status: 'in_progress', steps: [], ...more });

beforeEach(() => localStorage.clear());
beforeAll(async () => {
  const { unmount } = render(<MarkdownText text="**ready**" />);
  await screen.findByText('ready');
  unmount();
});

test('[6] a message is there at once as being sent, then as sent, then as one of the conversation', () => {
  const item = { id: 'm1', conversationId: 'c1', text: 'Add milk', status: 'waiting' as const, createdAt: 0 };
  const { store } = draw([], { outbox: [{ ...item, status: 'sending' }] });
  expect(screen.getByText('Sending…')).toBeInTheDocument();
  act(() => store.set({ outbox: [{ ...item, status: 'sending', runId: 'r1' }] }));
  expect(screen.getByText('Sent')).toBeInTheDocument();
  const answered = conversation('c1', 'Plan', [run('r1', 'Add milk', 'Added.')]);
  act(() => store.set({ outbox: [], open: { id: 'c1', status: 'live', state: answered } }));
  expect(screen.queryByText('Sent')).toBeNull();
  expect(screen.getAllByText('Add milk')).toHaveLength(1);
});

describe('[20] while nothing is written', () => {
  const line = () => document.querySelector('[data-run] .dot')?.parentElement?.textContent;

  test('[20] the seconds count from the last thing that happened, here the end of a tool', () => {
    const done = call('add_task', { title: 'Milk' }, { called_at: secondsAgo(40), returned_at: secondsAgo(3) });
    draw([going({ started_at: secondsAgo(60), calls: [done], steps: [] })]);
    expect(line()).toBe('Working3 s');
  });

  test('[20] without a connection it is the connection that is waited for', () => {
    draw([going({ started_at: secondsAgo(3) })], { connection: { status: 'offline', since: 0 } });
    expect(line()).toBe('Waiting for the connection3 s');
  });

  test('[20] words that stop coming are told from words that come', () => {
    jest.useFakeTimers();
    try {
      const open = (text: string): Partial<AppState> => ({
        open: {
          id: 'c1',
          status: 'live',
          state: conversation('c1', 'Plan', [going()]),
          draft: { runId: 'r1', step: 1, attempt: 1, text },
        },
      });
      const { store } = draw([], open('Good'));
      const wait = (s: number) => act(() => jest.advanceTimersByTime(s * 1000));
      wait(4);
      expect(line()).toBeUndefined();
      act(() => store.set(open('Good mor')));
      wait(4);
      expect(line()).toBeUndefined();
      wait(3);
      expect(line()).toMatch(/^Waiting for the model[567] s$/);
      act(() => store.set(open('Good morning')));
      wait(1);
      expect(line()).toBeUndefined();
    } finally {
      jest.useRealTimers();
    }
  });

  test('[21] a hidden page draws no seconds, and the right ones when it is seen again', () => {
    jest.useFakeTimers();
    const state = jest.spyOn(document, 'visibilityState', 'get');
    try {
      draw([going({ started_at: new Date(Date.now() - 3000).toISOString() })]);
      state.mockReturnValue('hidden');
      act(() => jest.advanceTimersByTime(10_000));
      expect(line()).toBe('Working3 s');
      state.mockReturnValue('visible');
      act(() => void document.dispatchEvent(new Event('visibilitychange')));
      expect(line()).toBe('Working13 s');
    } finally {
      state.mockRestore();
      jest.useRealTimers();
    }
  });
});

describe('code', () => {
  const coloured = () => [...document.querySelectorAll('code span')].map((el) => el.textContent);

  test('[22] gets its colours once its fence is closed, and says the same', async () => {
    jest.useFakeTimers();
    try {
      const open = '```go\nfunc main() {}\n';
      const { container, rerender } = render(<Markdown text={open} growing />);
      await act(() => jest.advanceTimersByTimeAsync(1000));
      expect(coloured()).toEqual([]);
      rerender(<Markdown text={`${open}\`\`\`\n`} growing />);
      expect(coloured()).toEqual([]);
      await act(() => jest.advanceTimersByTimeAsync(1000));
      expect(coloured()).toEqual(['func', 'main']);
      expect(container.querySelector('pre')).toHaveTextContent('func main() {}');
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('copying', () => {
  test('[23] takes a message as it was written and an answer as markdown, and says so aloud', async () => {
    const { user } = draw([run('r1', 'Hi *there*', 'Good **morning**')]);
    await user.click(screen.getByRole('button', { name: 'Copy message' }));
    expect(await navigator.clipboard.readText()).toBe('Hi *there*');
    expect(screen.getByRole('status')).toHaveTextContent('Copied');
    await user.click(screen.getByRole('button', { name: 'Copy answer' }));
    expect(await navigator.clipboard.readText()).toBe('Good **morning**');
  });

  test('[23] where there is no clipboard it says that it could not', async () => {
    const { user } = draw([run('r1', 'Hi', 'Hello')]);
    jest.spyOn(navigator.clipboard, 'writeText').mockRejectedValue(new Error('refused'));
    await user.click(screen.getByRole('button', { name: 'Copy answer' }));
    expect(await screen.findByRole('button', { name: 'Could not copy' })).toBeInTheDocument();
  });
});

describe('versions of a message', () => {
  const added = (id: number, title: string) =>
    call('add_task', { title }, { call_id: `k${id}`, result: { task: task(id, title) } });
  const first = run('r1', 'Add milk', 'Added.', { calls: [added(5, 'Milk')] });
  const below = run('r2', 'And bread', 'Added.', { parent_id: 'r1', calls: [added(6, 'Bread')] });
  const second = run('r3', 'Add oat milk', 'Hello.', {
    message: { message_id: 'm3', text: 'Add oat milk', time: '2026-11-23T10:42:00Z', regenerates: 'r1' },
  });

  test('[25] the switch says that what was done stays done, and leads to the tasks', async () => {
    const { user, onTask } = draw([first, below, second]);
    const group = screen.getByRole('group', { name: 'Versions of this message' });
    expect(group).toHaveTextContent('What was done stays done in every version.');
    await user.click(within(group).getByRole('button', { name: 'Task history' }));
    expect(screen.getAllByRole('menuitem').map((el) => el.textContent)).toEqual(['#5Milk', '#6Bread']);
    await user.click(screen.getByRole('menuitem', { name: /Bread/ }));
    expect(onTask).toHaveBeenCalledWith(6, true);
  });

  test('[25] where nothing was done it says nothing', () => {
    draw([run('r1', 'Hi', 'Hello'), { ...second, message: { ...second.message, text: 'Hi' } }]);
    const group = screen.getByRole('group', { name: 'Versions of this message' });
    expect(group).not.toHaveTextContent('stays done');
    expect(within(group).queryByRole('button', { name: 'Task history' })).toBeNull();
  });

  test('[24] answering again from an older one shows the new answer', async () => {
    const { store, user, onTip } = draw([run('r1', 'Hi', 'Hello'), second], { tip: 'r1' });
    await user.click(screen.getByRole('button', { name: 'Answer again' }));
    expect(callsOf(store, 'regenerate')).toEqual([['r1']]);
    expect(onTip).toHaveBeenCalledWith(undefined);
  });

  test('[24] an address with an unknown one shows the newest', () => {
    draw([first, second], { tip: 'nothing' });
    expect(screen.getByText('Add oat milk')).toBeInTheDocument();
    expect(screen.getByText('2 / 2')).toBeInTheDocument();
  });
});

describe('times', () => {
  const now = new Date(2026, 10, 27, 15, 0);
  test.each([
    [0, 'now'],
    [59, 'now'],
    [-30, 'now'],
    [60, '1 min ago'],
    [59 * 60, '59 min ago'],
    [3 * 3600 + 60, '3 hr ago'],
    [16 * 3600, '23:00'],
  ])('[26] %d s ago reads %j', (seconds, text) => {
    expect(ago(new Date(now.getTime() - seconds * 1000), now).replace('.', '')).toBe(text);
  });

  test('[26] the exact time is there for the mouse, for machines and where one cannot point', () => {
    const at = '2026-11-23T10:41:07Z';
    const { rerender } = render(<Time at={at} />);
    const time = document.querySelector('time')!;
    expect(time).toHaveAttribute('datetime', '2026-11-23T10:41:07.000Z');
    expect(time.title).toMatch(/Monday.*November.*2026.*41.07/);
    expect(time.textContent).not.toBe(time.title);
    rerender(<Time at={at} exact />);
    expect(document.querySelector('time')?.textContent).toBe(time.title);
  });
});

test('[28] the words of the person are shown as they are, each line in its own direction', () => {
  draw([run('r1', '**not bold**\n\nשלום\nend', 'Hello')]);
  const mine = screen.getByText(/not bold/);
  expect(mine.textContent).toBe('**not bold**\n\nשלום\nend');
  expect(mine).toHaveAttribute('dir', 'auto');
  expect(mine).toHaveClass('whitespace-pre-wrap', '[unicode-bidi:plaintext]');
});

test('[28] each block of an answer has its own direction, code is always left to right', () => {
  render(<Markdown text={'שלום\n\n- one\n- שתיים\n\n```\nx = 1\n```\n\nand `y`'} />);
  for (const el of document.querySelectorAll('.prose p, .prose li')) expect(el).toHaveAttribute('dir', 'auto');
  for (const el of document.querySelectorAll('.prose pre, .prose p code')) expect(el).toHaveAttribute('dir', 'ltr');
});

describe('feedback', () => {
  const rated = (rating?: 'up' | 'down') =>
    conversation('c1', 'Plan', [run('r1', 'Hi', 'Hello', rating ? { rating: { rating } } : {})]);

  test('[29] down may have a reason, up needs none, and each can be taken back', async () => {
    const { store, user } = draw([], { open: { id: 'c1', status: 'live', state: rated() } });
    const set = (rating?: 'up' | 'down') =>
      act(() => store.set({ open: { id: 'c1', status: 'live', state: rated(rating) } }));
    await user.click(screen.getByRole('button', { name: 'Good answer' }));
    set('up');
    expect(screen.queryByRole('textbox', { name: 'What was wrong with it?' })).toBeNull();
    await user.click(screen.getByRole('button', { name: 'Bad answer' }));
    set('down');
    await user.type(await screen.findByRole('textbox', { name: 'What was wrong with it?' }), 'Wrong list{Enter}');
    expect(screen.queryByRole('textbox', { name: 'What was wrong with it?' })).toBeNull();
    await user.click(screen.getByRole('button', { name: 'Bad answer' }));
    expect(callsOf(store, 'rate')).toEqual([
      ['r1', 'up'],
      ['r1', 'down'],
      ['r1', 'down', 'Wrong list'],
      ['r1', 'none'],
    ]);
  });

  test('[29] the reason can be left out', async () => {
    const { store, user } = draw([], { open: { id: 'c1', status: 'live', state: rated() } });
    await user.click(screen.getByRole('button', { name: 'Bad answer' }));
    act(() => store.set({ open: { id: 'c1', status: 'live', state: rated('down') } }));
    await user.type(await screen.findByRole('textbox', { name: 'What was wrong with it?' }), 'x{Escape}');
    await waitFor(() => expect(screen.queryByRole('textbox', { name: 'What was wrong with it?' })).toBeNull());
    expect(callsOf(store, 'rate')).toEqual([['r1', 'down']]);
  });
});

test('[12] a file that is dragged over the page is not taken', () => {
  draw([run('r1', 'Hi', 'Hello')]);
  const data = { types: ['Files'], dropEffect: 'copy' };
  expect(fireEvent.dragOver(document.body, { dataTransfer: data })).toBe(false);
  expect(data.dropEffect).toBe('none');
  expect(fireEvent.dragOver(document.body, { dataTransfer: { types: ['text/plain'] } })).toBe(true);
});
