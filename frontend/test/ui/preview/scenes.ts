import type { AppState } from '../../../src/core/state';
import type { Task } from '../../../src/protocol/types';
import { call, conversation, run, summary, task } from '../fakeStore';

const now = Date.now();
const iso = (ago: number) => new Date(now - ago).toISOString();
const date = (days: number) => {
  const d = new Date(now + days * 86_400_000);
  return [d.getFullYear(), d.getMonth() + 1, d.getDate()].map((n) => String(n).padStart(2, '0')).join('-');
};

const groceries = task(5, 'Buy groceries', { due_on: date(0), task_rev: 31 });
const bank = task(3, 'Call the bank about the new card', {
  status: 'completed',
  completed_at: iso(60_000),
  task_rev: 32,
});
const tasks = [
  groceries,
  bank,
  task(7, 'Have the boiler checked before winter', { due_on: date(4), description: 'Ask for the invoice by mail' }),
  task(2, 'Pay rent', { due_on: date(-1) }),
  task(8, 'Book the train to Lyon', { due_on: date(12) }),
  task(9, 'Water the plants'),
  task(1, 'Send the invoices', { status: 'completed', completed_at: iso(86_400_000) }),
];
const byId = (list: readonly Task[]) => Object.fromEntries(list.map((t) => [t.task_id, t]));

const conversations: AppState['conversations'] = {
  items: [
    summary('c1', 'Weekly plan', 0.1, { pinned: true }),
    summary('c2', 'Invoices for November', 0.5, { n: 30, read_n: 20 }),
    summary('c3', 'Groceries and errands', 2, { status: 'in_progress' }),
    summary('c4', 'Trip to Lyon', 26),
    summary('c5', 'What a very long title of a conversation does in a narrow column', 30),
    summary('c6', 'Boiler', 80),
    summary('c7', 'Birthday of Marie', 24 * 40),
  ],
  status: 'ready',
  hasMore: true,
};

const added = call('add_task', { title: 'Buy groceries' }, { result: { task: groceries }, duration_ms: 41 });
const completed = call('complete_task', { task_id: 3 }, { result: { task: bank }, duration_ms: 18 });
const first = run(
  'r1',
  'Add buy groceries, and finish task 3',
  'Done. Two things are left for **today**:\n\n- **#2** Pay rent, which is overdue\n- **#5** Buy groceries',
  {
    calls: [added, completed],
    message: { message_id: 'm1', text: 'Add buy groceries, and finish task 3', time: iso(30 * 3_600_000) },
  },
);

const rich = run(
  'r2',
  'Write me a small script that prints my open tasks,\nand compare the two ways to pay rent.',
  `Here is one that asks the public API:

\`\`\`sh
curl --silent --header "Authorization: Bearer $PARLEY_TOKEN" "http://127.0.0.1:7420/api/ana/tasks?status=open" | jq --raw-output '.data[] | "#\\(.task_id) \\(.title)"'
\`\`\`

## Two ways to pay rent

| way | fee | days | remark |
|:--|--:|:-:|---|
| transfer | 0.00 € | 1 | needs the IBAN of the landlord |
| card | 4.50 € | 0 | only through their portal |

1. Transfers before 14:00 arrive the same day.
2. The portal closes at *midnight*, see [the terms](https://example.com/terms).

- [x] rent of October
- [ ] rent of November

> Nothing was paid: I can only keep your tasks.`,
  {
    parent_id: 'r1',
    message: {
      message_id: 'm2',
      text: 'Write me a small script that prints my open tasks,\nand compare the two ways to pay rent.',
      time: iso(500_000),
    },
  },
);

const failing = run(
  'r3',
  'Delete task 9 and task 44',
  'Task #9 is gone. There is no task #44, so nothing else was changed.',
  {
    parent_id: 'r2',
    calls: [
      call(
        'delete_task',
        { task_id: 9 },
        { result: { task: { ...task(9, 'Water the plants'), deleted: true } }, duration_ms: 15 },
      ),
      call(
        'delete_task',
        { task_id: 44 },
        { status: 'failed', error: { code: 'tool_failed', message: 'There is no task #44.' }, duration_ms: 9 },
      ),
    ],
    message: { message_id: 'm3', text: 'Delete task 9 and task 44', time: iso(400_000) },
  },
);

const many = run('r4', 'Add five things for the party', 'All five are on your list.', {
  parent_id: 'r3',
  calls: ['Cake', 'Candles', 'Music', 'Drinks', 'Chairs'].map((title, i) =>
    call(
      'add_task',
      { title },
      i === 3
        ? { status: 'failed', error: { code: 'tool_failed', message: 'A task “Drinks” is there already.' } }
        : { result: { task: task(20 + i, title) }, duration_ms: 11 + i },
    ),
  ),
  message: { message_id: 'm4', text: 'Add five things for the party', time: iso(300_000) },
});

const stopped = run('r5', 'Add milk and pay rent', '', {
  parent_id: 'r4',
  status: 'cancelled',
  calls: [
    call('add_task', { title: 'Milk' }, { call_id: 'x1', result: { task: task(30, 'Milk') }, duration_ms: 12 }),
    call('add_task', { title: 'Pay rent' }, { call_id: 'x2', status: 'stopped' }),
  ],
  receipt: { ran: ['x1'], not_run: ['x2'] },
  stop: { by: 'user', why: 'user', n: 33, at: iso(200_000) },
  message: { message_id: 'm5', text: 'Add milk and pay rent', time: iso(200_000) },
});

const broken = run('r6', 'And what about tomorrow?', '', {
  parent_id: 'r5',
  status: 'failed',
  steps: [],
  error: { code: 'provider_unavailable', message: 'The model did not answer: the provider is overloaded.' },
  receipt: {},
  message: { message_id: 'm6', text: 'And what about tomorrow?', time: iso(150_000) },
});

const running = run('r7', 'Look at everything and plan my week', '', {
  parent_id: 'r6',
  status: 'in_progress',
  steps: [
    { step: 1, text: 'Let me see what is there.', calls: ['y1', 'y2'], usage: { input_tokens: 1, output_tokens: 1 } },
  ],
  calls: [
    call('list_tasks', { status: 'open' }, { call_id: 'y1', result: { tasks: [], count: 6 }, duration_ms: 8 }),
    call('update_task', { task_id: 7, due_on: date(2) }, { call_id: 'y2', status: 'running', called_at: iso(1500) }),
  ],
  started_at: iso(4000),
  message: { message_id: 'm7', text: 'Look at everything and plan my week', time: iso(5000) },
});

const queued = run('r8', 'And call Marie on Thursday', '', {
  parent_id: 'r7',
  status: 'queued',
  steps: [],
  message: { message_id: 'm8', text: 'And call Marie on Thursday', time: iso(2000) },
});

const writing = run('r9', 'Summarise the week', '', {
  parent_id: 'r4',
  status: 'in_progress',
  steps: [],
  started_at: iso(4000),
  message: { message_id: 'm9', text: 'Summarise the week', time: iso(5000) },
});

const open = (runs: Parameters<typeof conversation>[2]): NonNullable<AppState['open']> => ({
  id: 'c1',
  status: 'live',
  state: conversation('c1', 'Weekly plan', runs),
});

const full: AppState['tasks'] = { byId: byId(tasks), status: 'ready', rev: 32, changed: { 5: now } };
const base: Partial<AppState> = { conversations, tasks: full };

/** States of the page worth looking at, by name. */
export const scenes: Readonly<Record<string, { path: string; state: Partial<AppState> }>> = {
  empty: { path: '/', state: { tasks: { byId: {}, status: 'ready', rev: 0, changed: {} } } },
  chat: { path: '/c/c1', state: { ...base, open: open([first, rich]) } },
  tools: {
    path: '/c/c1',
    state: {
      ...base,
      open: open([first, failing, many]),
      tasks: { ...full, byId: { ...full.byId, 9: { ...task(9, 'Water the plants'), deleted: true } } },
    },
  },
  asking: {
    path: '/c/c1',
    state: {
      ...base,
      open: open([
        run('r7', 'Move the boiler to next week and drop the rent', '', {
          status: 'requires_action',
          steps: [],
          calls: [
            call(
              'update_task',
              { task_id: 7, title: 'Have the boiler checked', due_on: date(11) },
              { status: 'asking', expires_at: iso(-86_400_000) },
            ),
            call('delete_task', { task_id: 2 }, { status: 'asking', expires_at: iso(-86_400_000) }),
          ],
        }),
      ]),
    },
  },
  running: { path: '/c/c1', state: { ...base, open: open([many, stopped, broken, running, queued]) } },
  writing: {
    path: '/c/c1',
    state: {
      ...base,
      open: {
        ...open([many, { ...many, run_id: 'r4b', n: many.n + 1, parent_id: 'r3' }, { ...writing, parent_id: 'r4b' }]),
        draft: {
          runId: 'r9',
          step: 1,
          attempt: 1,
          text: 'This week you have **six open tasks**. The first is [paying the rent](https://exam',
        },
      },
    },
  },
  offline: {
    path: '/c/c1',
    state: {
      ...base,
      open: open([first]),
      connection: { status: 'offline', since: now - 5000, retryAt: now + 9000 },
      outbox: [
        { id: 'o1', conversationId: 'c1', text: 'Add milk', status: 'waiting', createdAt: now },
        {
          id: 'o2',
          conversationId: 'c1',
          text: 'And bread',
          status: 'failed',
          error: { code: 'too_large', message: 'The message is too long.' },
          createdAt: now,
        },
      ],
    },
  },
  toast: {
    path: '/c/c1',
    state: {
      ...base,
      open: open([first]),
      toasts: [
        {
          id: 't1',
          kind: 'undo',
          text: 'Deleted “Water the plants”',
          action: { label: 'Undo', run: () => undefined },
          expiresAt: now + 9000,
        },
        { id: 't2', kind: 'error', text: 'The server has not answered. It may still do this.', expiresAt: now + 9000 },
      ],
    },
  },
  loading: {
    path: '/c/c1',
    state: {
      conversations: { ...conversations, items: [], status: 'loading' },
      tasks: { byId: {}, status: 'loading', rev: 0, changed: {} },
      open: { ...open([]), status: 'loading' },
    },
  },
  missing: { path: '/c/nowhere', state: { ...base, open: { ...open([]), id: 'nowhere', status: 'not-found' } } },
  signin: { path: '/', state: { session: { status: 'signed-out' } } },
  expired: { path: '/c/c1', state: { ...base, open: open([first]), session: { status: 'expired', userId: 'ana' } } },
};
