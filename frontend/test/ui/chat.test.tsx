import { act, fireEvent, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';

import { receiptOf } from '../../src/chat/answer';
import { ChatInterface } from '../../src/chat/ChatInterface';
import type { AppState, OpenConversation } from '../../src/core/state';
import { MarkdownText } from '../../src/markdown/MarkdownText';
import type { Run } from '../../src/protocol/types';
import { call, conversation, run, task } from './fakeStore';
import { callsOf, show } from './show';

const noop = () => undefined;

function open(runs: readonly Run[], more: Partial<OpenConversation> = {}): Pick<AppState, 'open'> {
  return { open: { id: 'c1', status: 'live', state: conversation('c1', 'Plan', runs), ...more } };
}

function draw(state: Partial<AppState>, tip?: string) {
  const onTip = jest.fn();
  const onTask = jest.fn();
  const result = show(<ChatInterface tip={tip} onTip={onTip} onTask={onTask} />, state);
  return { ...result, onTip, onTask, user: userEvent.setup() };
}

const composer = () => screen.getByRole<HTMLTextAreaElement>('textbox', { name: 'Message Parley' });
const draft = (runId: string, text: string, step = 1) => ({ draft: { runId, step, attempt: 1, text } });
const going = (id: string, text: string, more: Partial<Run> = {}) =>
  run(id, text, '', { status: 'in_progress', steps: [], ...more });

beforeEach(() => localStorage.clear());

// The reader of markdown comes by itself; here nothing waits for it.
beforeAll(async () => {
  const { unmount } = render(<MarkdownText text="**ready**" />);
  await screen.findByText('ready');
  unmount();
});

describe('a new chat', () => {
  test('[69] greets, and sends a prompt only when it is pressed', async () => {
    const { store, user } = draw({});
    const prompts = within(screen.getByRole('list', { name: 'Things to try' })).getAllByRole('button');
    expect(prompts.map((b) => b.textContent)).toEqual([
      'Add a task to buy groceries',
      'What is left to do?',
      'Add call mom tomorrow and pay rent on Friday',
      'What can you do?',
    ]);
    await user.hover(prompts[0]!);
    expect(callsOf(store, 'send')).toEqual([]);
    await user.click(prompts[0]!);
    expect(callsOf(store, 'send')).toEqual([['Add a task to buy groceries', {}]]);
  });

  test('[5] keeps what is typed while it gets its id', async () => {
    const { store, user } = draw({
      outbox: [{ id: 'm1', chat: 'chat-1', text: 'Hello', status: 'sending', createdAt: 0 }],
    });
    await user.type(composer(), 'and then');
    act(() =>
      store.set({
        ...open([]),
        outbox: [{ id: 'm1', conversationId: 'c1', chat: 'chat-1', text: 'Hello', status: 'sending', createdAt: 0 }],
      }),
    );
    expect(composer()).toHaveValue('and then');
    expect(localStorage.getItem('parley.draft.new')).toBeNull();
  });
});

describe('the transcript', () => {
  test('[28] [58] [59] is a silent log of articles with headings', () => {
    draw(open([run('r1', 'Hello\nthere', 'Good **morning**')]));
    expect(screen.getByRole('log', { name: 'Messages' })).toHaveAttribute('aria-live', 'off');
    const [mine, answer] = screen.getAllByRole('article');
    expect(within(mine!).getByRole('heading')).toHaveTextContent(/^You, /);
    // The reader's own words are no markdown.
    expect(within(mine!).getByText(/Hello\s+there/)).toHaveClass('whitespace-pre-wrap');
    expect(within(answer!).getByText('morning').tagName).toBe('STRONG');
  });

  test('[58] [60] one status line says how it goes', async () => {
    jest.useFakeTimers();
    try {
      const { store } = draw(open([run('r1', 'Hi', 'Hello')]));
      const status = screen.getByRole('status');
      expect(status).toHaveTextContent('');
      act(() => store.set(open([run('r1', 'Hi', 'Hello'), going('r2', 'Add milk', { parent_id: 'r1' })])));
      expect(status).toHaveTextContent('Replying');
      const done = run('r2', 'Add milk', 'It is on the list.', {
        parent_id: 'r1',
        calls: [call('add_task', { title: 'milk' }, { call_id: 'k1', result: { task: task(4, 'Milk') } })],
      });
      act(() => store.set(open([run('r1', 'Hi', 'Hello'), { ...done, status: 'in_progress' }])));
      // At most one announcement in three seconds.
      expect(status).toHaveTextContent('Replying');
      await act(() => jest.advanceTimersByTimeAsync(3000));
      expect(status).toHaveTextContent('Task added: Milk');
      act(() => store.set(open([run('r1', 'Hi', 'Hello'), done])));
      await act(() => jest.advanceTimersByTimeAsync(3000));
      expect(status).toHaveTextContent('Reply finished: It is on the list.');
    } finally {
      jest.useRealTimers();
    }
  });

  test('[14] [19] shows text as it is written, and the same element when it is done', () => {
    const { store } = draw({ ...open([going('r1', 'Hi')], draft('r1', 'Good mor')) });
    const words = screen.getByText('Good mor');
    expect(words.closest('article')).toHaveAttribute('aria-busy', 'true');
    act(() =>
      store.set(
        open([
          run('r1', 'Hi', '', {
            steps: [{ step: 1, text: 'Good morning', usage: { input_tokens: 1, output_tokens: 1 } }],
          }),
        ]),
      ),
    );
    expect(screen.getByText('Good morning')).toBe(words);
  });

  test('[14] only the row that has changed is drawn again', () => {
    const r1 = run('r1', 'Hi', 'Hello');
    const r2 = going('r2', 'More', { parent_id: 'r1' });
    const { store } = draw(open([r1, r2]));
    const before = screen.getByText('Hello').closest('article')!;
    const seen: MutationRecord[] = [];
    const watch = new MutationObserver((records) => seen.push(...records));
    watch.observe(before, { subtree: true, childList: true, attributes: true, characterData: true });
    act(() => store.set(open([r1, r2], draft('r2', 'text'))));
    seen.push(...watch.takeRecords());
    watch.disconnect();
    expect(screen.getByText('text')).toBeInTheDocument();
    expect(seen).toEqual([]);
  });

  test('[20] between words it says that it works, and for what it waits after 20 s', () => {
    const at = (s: number) => new Date(Date.now() - s * 1000).toISOString();
    const { store } = draw(open([going('r1', 'Hi', { started_at: at(3) })]));
    expect(screen.getByText('Working')).toBeInTheDocument();
    expect(screen.getByText('3 s')).toBeInTheDocument();
    act(() => store.set(open([going('r2', 'Hi', { started_at: at(25) })])));
    expect(screen.getByText('Waiting for the model')).toBeInTheDocument();
  });

  test('[26] separates days', () => {
    const at = (days: number) => ({
      message_id: `m${days}`,
      text: 'x',
      time: new Date(Date.now() - days * 86_400_000).toISOString(),
    });
    draw(open([run('r1', 'x', 'a', { message: at(1) }), run('r2', 'x', 'b', { parent_id: 'r1', message: at(0) })]));
    expect(screen.getAllByRole('separator').map((el) => el.textContent)).toEqual(['Yesterday', 'Today']);
  });

  test('[56] a message that cannot be drawn does not take the others with it', async () => {
    const quiet = jest.spyOn(console, 'error').mockImplementation(noop);
    const whole = run('r1', 'Hi', 'Hello');
    const broken = run('r2', 'x', 'y', { parent_id: 'r1' });
    Object.defineProperty(broken, 'rating', {
      get() {
        throw new Error('broken');
      },
    });
    draw(open([whole, broken]));
    expect(await screen.findByText('Hello')).toBeInTheDocument();
    expect(screen.getByText('This message cannot be shown.')).toBeInTheDocument();
    expect(composer()).toBeInTheDocument();
    quiet.mockRestore();
  });
});

describe('a stopped run', () => {
  const stopped = run('r1', 'Add milk and bread', 'I am ad', {
    status: 'cancelled',
    calls: [
      call('add_task', { title: 'Milk' }, { call_id: 'a', result: { task: task(1, 'Milk') } }),
      call('add_task', { title: 'Bread' }, { call_id: 'b', status: 'stopped' }),
    ],
    receipt: { text: 'I am ad', ran: ['a'], not_run: ['b'] },
  });

  test('[9] keeps its text and says what did not run', () => {
    draw(open([stopped]));
    expect(screen.getByText('I am ad')).toBeInTheDocument();
    expect(screen.getByRole('button', { name: /Added “Milk”/ })).toBeInTheDocument();
    expect(screen.getByText('Stopped. add_task “Bread” did not run. What was done stays done.')).toBeInTheDocument();
  });

  test.each<[string, Partial<Run>, string]>([
    ['nothing asked for', { calls: [], receipt: {} }, 'Stopped.'],
    [
      'before it began',
      { started_at: undefined as unknown as string, calls: [], receipt: {} },
      'Stopped before it began.',
    ],
    [
      'two calls',
      { receipt: { not_run: ['a', 'b'] } },
      'Stopped. add_task “Milk” and add_task “Bread” did not run, none of them.',
    ],
    ['an unknown call', { receipt: { not_run: ['zzz'] } }, 'Stopped. zzz did not run.'],
  ])('receipt: %s', (_, more, text) => {
    const r = { ...stopped, ...more };
    if (more.started_at === undefined && 'started_at' in more) delete (r as { started_at?: string }).started_at;
    expect(receiptOf(r)).toBe(text);
  });

  test('[8] Escape stops, unless a menu has the first claim', async () => {
    const { store, user } = draw(open([going('r1', 'Hi')]));
    await user.click(composer());
    await user.keyboard('{Escape}');
    expect(callsOf(store, 'stop')).toHaveLength(1);
    const dialog = document.body.appendChild(document.createElement('dialog'));
    dialog.setAttribute('open', '');
    await user.keyboard('{Escape}');
    dialog.remove();
    expect(callsOf(store, 'stop')).toHaveLength(1);
  });
});

describe('a failed run', () => {
  test('[56] says why, what was kept, and can be tried again', async () => {
    const failed = run('r1', 'Hi', '', {
      status: 'failed',
      steps: [],
      error: { code: 'provider_unavailable', message: 'The model did not answer.' },
      receipt: {},
    });
    const { store, user } = draw(open([failed]));
    expect(await screen.findByText(/^Your message is saved\. Try again/)).toBeInTheDocument();
    expect(screen.getByText('The model did not answer.')).toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Try again' }));
    expect(callsOf(store, 'regenerate')).toEqual([['r1']]);
  });
});

test('a failure that says itself what is saved says it once', async () => {
  const error = { code: 'model_busy', message: 'The model had an error. Your message is saved; you can ask again.' };
  draw(open([run('r1', 'Hi', '', { status: 'failed', steps: [], error })]));
  expect(await screen.findByRole('button', { name: 'Copy the reference' })).toBeInTheDocument();
  expect(screen.getAllByText(/is saved/)).toHaveLength(1);
});

describe('answering again', () => {
  const again = () => screen.getByRole('button', { name: 'Answer again' });

  test('[24] [25] goes ahead where nothing was changed', async () => {
    const calls = [
      call('list_tasks', {}, { result: { count: 2, tasks: [] } }),
      call('add_task', { title: 'Milk' }, { status: 'failed', error: { code: 'invalid', message: 'No.' } }),
    ];
    const { store, user } = draw(open([run('r1', 'What is left?', 'Two.', { calls })]));
    await user.click(again());
    expect(callsOf(store, 'regenerate')).toEqual([['r1']]);
  });

  test('[25] asks first where something was, and says what', async () => {
    const calls = [
      call('list_tasks', {}, { result: { count: 2, tasks: [] } }),
      call('add_task', { title: 'Milk' }, { result: { task: task(1, 'Milk') } }),
      call('post_letter', {}, { server: 'mail', result: { ok: true } }),
    ];
    const { store, user } = draw(open([run('r1', 'Add milk', 'Added.', { calls })]));
    await user.click(again());
    const question = screen.getByRole('dialog', { name: 'Answer again?' });
    expect(
      within(question)
        .getAllByRole('listitem')
        .map((li) => li.textContent),
    ).toEqual(['Added “Milk”', 'Used post_letter']);
    await user.click(within(question).getByRole('button', { name: 'Close' }));
    expect(screen.queryByRole('dialog')).toBeNull();
    await user.click(again());
    await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: 'Leave it' }));
    expect(callsOf(store, 'regenerate')).toEqual([]);
    await user.click(again());
    await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: 'Answer again' }));
    expect(callsOf(store, 'regenerate')).toEqual([['r1']]);
    expect(screen.queryByRole('dialog')).toBeNull();
  });

  test('[25] asks also before a failed one is tried again', async () => {
    const failed = run('r1', 'Add milk', '', {
      status: 'failed',
      calls: [call('add_task', { title: 'Milk' }, { result: { task: task(1, 'Milk') } })],
      error: { code: 'provider_error', message: 'The model did not answer.' },
    });
    const { store, user } = draw(open([failed]));
    await user.click(screen.getByRole('button', { name: 'Try again' }));
    expect(callsOf(store, 'regenerate')).toEqual([]);
    await user.click(within(screen.getByRole('dialog')).getByRole('button', { name: 'Answer again' }));
    expect(callsOf(store, 'regenerate')).toEqual([['r1']]);
  });
});

describe('branches', () => {
  const first = run('r1', 'One', 'First answer');
  const again = run('r2', 'One', 'Second answer', {
    message: { message_id: 'm2', text: 'One', time: '2026-11-23T10:42:00Z', regenerates: 'r1' },
  });

  test('[24] the newest is shown, and the switch goes to the others', async () => {
    const { user, onTip } = draw(open([first, again]));
    expect(screen.getByText('Second answer')).toBeInTheDocument();
    expect(screen.queryByText('First answer')).toBeNull();
    expect(screen.getByText('2 / 2')).toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Previous version' }));
    expect(onTip).toHaveBeenCalledWith('r1');
  });

  test('[24] an older one can be looked at and continued', async () => {
    const { store, user, onTip } = draw(open([first, again]), 'r1');
    expect(screen.getByText('First answer')).toBeInTheDocument();
    await user.type(composer(), 'go on{Enter}');
    expect(callsOf(store, 'send')).toEqual([['go on', { parentId: 'r1' }]]);
    expect(onTip).toHaveBeenCalledWith(undefined);
  });

  test('[24] editing a message sends it again in its place, and keeps the draft', async () => {
    const second = run('r2', 'Two', 'x', { parent_id: 'r1' });
    const { store, user } = draw(open([first, second]));
    await user.type(composer(), 'a draft');
    await user.click(screen.getAllByRole('button', { name: 'Edit and resend' })[1]!);
    await waitFor(() => expect(composer()).toHaveValue('Two'));
    await user.clear(composer());
    await user.type(composer(), 'Three{Enter}');
    expect(callsOf(store, 'send')).toEqual([['Three', { parentId: 'r1' }]]);
    expect(composer()).toHaveValue('a draft');
  });

  test('[25] editing says whether the old answer has done something', async () => {
    const calls = [call('add_task', { title: 'Milk' }, { result: { task: task(1, 'Milk') } })];
    const { user } = draw(
      open([run('r1', 'Hi', 'Hello'), run('r2', 'Add milk', 'Added.', { parent_id: 'r1', calls })]),
    );
    const edit = (i: number) => user.click(screen.getAllByRole('button', { name: 'Edit and resend' })[i]!);
    await edit(0);
    expect(screen.getByText(/^Editing your message/)).toHaveTextContent('nothing is lost');
    await edit(1);
    expect(screen.getByText(/^Editing your message/)).toHaveTextContent('What was done for it stays done.');
  });

  test('[24] editing the first message branches from the root', async () => {
    const { store, user } = draw(open([first]));
    await user.click(screen.getByRole('button', { name: 'Edit and resend' }));
    await waitFor(() => expect(composer()).toHaveValue('One'));
    await user.type(composer(), '{Enter}');
    expect(callsOf(store, 'send')).toEqual([['One', { parentId: 'root' }]]);
  });
});

describe('messages that are not answered yet', () => {
  test('[10] queued ones stand above the box and can be taken back', async () => {
    const active = going('r1', 'Add milk');
    const queued = run('r2', 'And bread', '', { parent_id: 'r1', status: 'queued', steps: [] });
    const { store, user } = draw(open([active, queued]));
    const queue = screen.getByRole('list', { name: 'Waiting messages' });
    expect(within(queue).getByText('And bread')).toBeInTheDocument();
    expect(screen.getAllByRole('article')).toHaveLength(2);
    await user.click(within(queue).getByRole('button', { name: 'Edit the queued message' }));
    expect(callsOf(store, 'cancelRun')).toEqual([['r2']]);
    await waitFor(() => expect(composer()).toHaveValue('And bread'));
  });

  test('[6] one that was not sent says so and offers what can be done', async () => {
    const { store, user } = draw({
      ...open([run('r1', 'Hi', 'Hello')]),
      outbox: [
        {
          id: 'm9',
          conversationId: 'c1',
          text: 'Lost?',
          status: 'failed',
          error: { code: 'x', message: 'Too long.' },
          createdAt: 0,
        },
      ],
    });
    const alert = screen.getByRole('alert');
    await waitFor(() => expect(alert).toHaveTextContent(/^Not sent ?Too long\. ?Your message is kept here\./));
    await user.click(screen.getByRole('button', { name: 'Retry' }));
    expect(callsOf(store, 'retry')).toEqual([['m9']]);
    await user.type(composer(), 'kept');
    await user.click(screen.getByRole('button', { name: 'Edit' }));
    expect(callsOf(store, 'discard')).toEqual([['m9']]);
    await waitFor(() => expect(composer()).toHaveValue('kept\n\nLost?'));
  });

  test('[6] [8] one that waits for the connection leaves nothing to stop', () => {
    draw({
      ...open([run('r1', 'Hi', 'Hello')]),
      outbox: [{ id: 'm9', conversationId: 'c1', text: 'Later', status: 'waiting', createdAt: 0 }],
    });
    expect(screen.getByText('Waits for the connection')).toBeInTheDocument();
    expect(screen.queryByRole('button', { name: 'Stop' })).toBeNull();
  });
});

describe('scrolling', () => {
  /** jsdom lays nothing out; the sizes are what a browser would say. */
  function sized(height: number) {
    const el = document.getElementById('messages')!;
    let top = 0;
    const size = { height };
    Object.defineProperties(el, {
      scrollHeight: { get: () => size.height, configurable: true },
      clientHeight: { get: () => 400, configurable: true },
      scrollTop: {
        get: () => top,
        set: (v: number) => {
          top = Math.max(0, Math.min(v, size.height - 400));
        },
        configurable: true,
      },
    });
    const to = (v: number) => {
      el.scrollTop = v;
      fireEvent.scroll(el);
    };
    to(size.height);
    return { el, size, to };
  }

  const jump = () => screen.queryByRole('button', { name: /Jump to latest/ });
  const many = [run('r1', 'a', 'b'), run('r2', 'c', 'd', { parent_id: 'r1' })];

  test('[15] any way up releases at once, within 64 px too; the way back attaches', () => {
    draw(open(many));
    const { el, to } = sized(1000);
    expect(jump()).toBeNull();
    fireEvent.wheel(el, { deltaY: -1 });
    expect(jump()).not.toBeNull();
    to(590);
    expect(jump()).not.toBeNull();
    to(599);
    expect(jump()).toBeNull();
    to(580);
    expect(jump()).not.toBeNull();
  });

  test('[15] keys and fingers release as well', () => {
    draw(open(many));
    const { el, to } = sized(1000);
    fireEvent.keyDown(el, { key: 'PageUp' });
    expect(jump()).not.toBeNull();
    to(500);
    to(600);
    expect(jump()).toBeNull();
    fireEvent.touchStart(el, { touches: [{ clientY: 100 }] });
    fireEvent.touchMove(el, { touches: [{ clientY: 120 }] });
    expect(jump()).not.toBeNull();
  });

  test('[15] a shorter content releases nobody', () => {
    draw(open(many));
    const { size, to } = sized(1000);
    size.height = 900;
    to(500);
    expect(jump()).toBeNull();
  });

  test('[16] counts what has come since, and goes there', async () => {
    const { store, user } = draw(open(many));
    const { el, to } = sized(1000);
    to(100);
    act(() => store.set(open([...many, run('r3', 'e', 'f', { parent_id: 'r2' })])));
    const button = jump();
    expect(button).toHaveTextContent('1 new');
    await user.click(button!);
    expect(el.scrollTop).toBe(600);
    expect(jump()).toBeNull();
  });

  test('[16] sending goes to the end', async () => {
    const { user } = draw(open(many));
    const { el, to } = sized(1000);
    to(100);
    await user.type(composer(), 'x{Enter}');
    expect(el.scrollTop).toBe(600);
    expect(jump()).toBeNull();
  });
});

test('what has been seen is told to the server once the answer is there', () => {
  const { store } = draw(open([going('r1', 'Hi')]));
  expect(callsOf(store, 'markRead')).toEqual([]);
  act(() => store.set(open([run('r1', 'Hi', 'Hello')])));
  expect(callsOf(store, 'markRead')).toEqual([['c1', 40]]);
});
