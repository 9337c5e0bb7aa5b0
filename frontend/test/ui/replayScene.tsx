import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';

import { App } from '../../src/app';
import { emptyConversation, fold } from '../../src/core/fold';
import { StoreProvider } from '../../src/core/react';
import type { Commit, Event as Fact, Query, TaskChange } from '../../src/protocol/types';
import { createFakeStore, task, type FakeStore } from './fakeStore';
import './dialog';

/** Gives the page a width, and what else a browser has and jsdom has not. */
export function browser(width = 1280): void {
  localStorage.clear();
  Element.prototype.scrollIntoView = () => undefined;
  window.matchMedia = ((query: string) => {
    const min = /min-width: (\d+)px/.exec(query)?.[1];
    return {
      matches: min !== undefined && width >= Number(min),
      addEventListener: () => undefined,
      removeEventListener: () => undefined,
    };
  }) as unknown as typeof window.matchMedia;
}

export const at = (s: number) => new Date(Date.UTC(2026, 10, 23, 9, 41, s)).toISOString();
export const lease = { stream: 'INBOX', sequence: 1, delivery: 1 };
export const usage = { input_tokens: 1, output_tokens: 1 };
const milk = task(3, 'Milk', { task_rev: 5 });
const called = (id: string, name: string, args: unknown): Fact => ({
  type: 'tool.called',
  call_id: id,
  run_id: id.split('-')[0]!,
  server: 'tasks',
  name,
  arguments: args,
  by: 'model',
  deadline: at(59),
});

/** "Add milk" works; "Complete 99" fails; a tick by hand comes between. */
export const log: Commit[] = [
  [
    0,
    { type: 'message.accepted', message_id: 'm1', run_id: 'r1', text: 'Add milk' },
    { type: 'run.started', run_id: 'r1', message_id: 'm1', model: 'demo', deadline: at(59) },
    { type: 'step.started', run_id: 'r1', step: 1, attempt: 1, lease, worker: 'w' },
  ],
  [
    1,
    {
      type: 'step.completed',
      run_id: 'r1',
      step: 1,
      attempt: 1,
      text: '',
      usage,
      finish_reason: 'tool_calls',
      tool_calls: [{ call_id: 'r1-1-0', name: 'add_task', arguments: { title: 'Milk' } }],
    },
    called('r1-1-0', 'add_task', { title: 'Milk' }),
  ],
  [
    2,
    { type: 'tool.returned', call_id: 'r1-1-0', run_id: 'r1', ok: true, result: { task: milk }, duration_ms: 41 },
    { type: 'step.started', run_id: 'r1', step: 2, attempt: 1, lease, worker: 'w' },
  ],
  [
    3,
    { type: 'step.completed', run_id: 'r1', step: 2, attempt: 1, text: 'Milk is on it.', usage, finish_reason: 'stop' },
    { type: 'run.completed', run_id: 'r1', usage },
  ],
  [5, { type: 'conversation.renamed', title: 'Weekly plan', by: 'model' }],
  [
    20,
    { type: 'message.accepted', message_id: 'm2', run_id: 'r2', parent_id: 'r1', text: 'Complete 99' },
    { type: 'run.started', run_id: 'r2', message_id: 'm2', model: 'demo', deadline: at(59) },
    { type: 'step.started', run_id: 'r2', step: 1, attempt: 1, lease, worker: 'w' },
  ],
  [
    21,
    {
      type: 'step.completed',
      run_id: 'r2',
      step: 1,
      attempt: 1,
      text: '',
      usage,
      finish_reason: 'tool_calls',
      tool_calls: [{ call_id: 'r2-1-0', name: 'complete_task', arguments: { task_id: 99 } }],
    },
    called('r2-1-0', 'complete_task', { task_id: 99 }),
  ],
  [
    22,
    {
      type: 'tool.returned',
      call_id: 'r2-1-0',
      run_id: 'r2',
      ok: false,
      error: { code: 'tool_failed', message: 'There is no task #99.' },
      duration_ms: 9,
    },
    { type: 'run.failed', run_id: 'r2', code: 'provider_error', message: 'No answer.', usage, receipt: {} },
  ],
].map(([s, ...events], i) => ({
  v: 1,
  conversation_id: 'c1',
  user_id: 'ana',
  n: i + 1,
  commit_id: `c1:${i + 1}`,
  cause: `m${i}`,
  by: 'user',
  time: at(s as number),
  events: events as Fact[],
}));

const rent = task(1, 'Pay rent', { task_rev: 4 });
const changes: TaskChange[] = [
  { task_rev: 5, tool: 'add_task', by: 'model', call_id: 'r1-1-0', conversation_id: 'c1', at: at(2), task: milk },
  {
    task_rev: 6,
    tool: 'complete_task',
    by: 'user',
    call_id: 'hand-1',
    conversation_id: 'home',
    at: at(10),
    task: { ...rent, status: 'completed', task_rev: 6 },
  },
  {
    task_rev: 7,
    tool: 'delete_task',
    by: 'model',
    call_id: 'x-1-0',
    conversation_id: 'c9',
    at: at(11),
    task: { ...milk, deleted: true, task_rev: 7 },
  },
];

/** What the server has. */
export interface Source {
  commits: readonly Commit[];
  changes: readonly TaskChange[];
  /** Makes reading what is below an address fail. */
  broken?: (path: string) => Error | undefined;
  exported?: (query: Query | undefined) => Promise<string>;
}

export function serve(store: FakeStore, more: Partial<Source> = {}): Source {
  const source: Source = { commits: log, changes, ...more };
  const answer = (path: string, q: Query): unknown => {
    switch (path) {
      case 'conversations/c1/events':
        return { data: source.commits.slice(Number(q.after)), has_more: false, after: source.commits.length };
      case 'tasks/history':
        return { data: source.changes, has_more: false, after: 7 };
      case 'tasks':
        return { data: q.as_of === 4 ? [rent] : [], has_more: false, task_rev: q.as_of };
      default:
        throw new Error(`nothing at ${path}`);
    }
  };
  store.on('read', async (decode, path, query = {}) => {
    await Promise.resolve();
    const broken = source.broken?.(path.join('/'));
    if (broken) throw broken;
    return decode(answer(path.join('/'), query));
  });
  store.on('readText', async (_, query) => {
    if (!source.exported) throw new Error('The server cannot be reached.');
    return source.exported(query);
  });
  return source;
}

export const live = log.reduce(fold, emptyConversation('ana', 'c1'));

export async function draw(path: string, more: Partial<Source> = {}) {
  history.replaceState(null, '', path);
  const store = createFakeStore({
    open: { id: 'c1', status: 'live', state: live },
    tasks: { byId: { 9: task(9, 'Only now') }, status: 'ready', rev: 9, changed: {} },
  });
  const source = serve(store, more);
  const result = render(
    <StoreProvider store={store}>
      <App />
    </StoreProvider>,
  );
  await screen.findByRole('heading', { level: 1, name: /^Replay of/ });
  return { ...result, store, source, user: userEvent.setup() };
}

export const slider = () => screen.getByRole('slider', { name: 'Timeline' });
export const ready = () => screen.findByRole('slider', { name: 'Timeline' });
export const chat = () => screen.getByRole('log', { name: 'Messages' });
export const tasks = () => screen.getByRole('region', { name: /^Tasks (then|now)$/ });
export const events = () => screen.getByRole('listbox', { name: 'Events' });
export const button = (name: string) => screen.getByRole('button', { name });
