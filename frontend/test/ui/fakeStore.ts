import type { Actions, AppState, Store } from '../../src/core/state';
import type { Call, Conversation, Run, Summary, Task } from '../../src/protocol/types';

/** A store that holds what it is given; what actions are called is kept in calls. */
export interface FakeStore extends Store {
  set(patch: Partial<AppState>): void;
  calls: { name: string; args: unknown[] }[];
  /** Stands in for an action. */
  on<K extends keyof Actions>(name: K, f: Actions[K]): void;
  arrive(id: string): void;
}

export const emptyState: AppState = {
  session: { status: 'signed-in', userId: 'ana' },
  config: {
    server_version: '0.1.0',
    auth: { mode: 'dev' },
    model: { name: 'demo', label: 'Demo model', demo: true },
    limits: { message_chars: 8000 },
  },
  connection: { status: 'online', since: 0 },
  conversations: { items: [], status: 'ready', hasMore: false },
  newChat: 'chat-1',
  tasks: { byId: {}, status: 'ready', rev: 0, changed: {} },
  outbox: [],
  stopping: [],
  toasts: [],
};

const nothing = () => Promise.resolve();

export function createFakeStore(initial: Partial<AppState> = {}): FakeStore {
  let state: AppState = { ...emptyState, ...initial };
  const listeners = new Set<() => void>();
  const arrivals = new Set<(id: string) => void>();
  const calls: FakeStore['calls'] = [];
  const overrides: Partial<Actions> = {};
  const defaults: Actions = {
    signInAs: nothing,
    signOut: () => undefined,
    openConversation: () => undefined,
    loadOlder: nothing,
    find: () => Promise.resolve(undefined),
    loadAll: nothing,
    send: () => 'message-1',
    retry: () => undefined,
    discard: () => undefined,
    stop: () => undefined,
    cancelRun: () => undefined,
    regenerate: () => undefined,
    rate: nothing,
    callTool: () => Promise.resolve({ ok: true }),
    answer: () => Promise.resolve(true),
    rename: nothing,
    pin: nothing,
    archive: nothing,
    markRead: () => undefined,
    remove: nothing,
    restore: nothing,
    loadMoreConversations: nothing,
    read: () => new Promise(() => undefined),
    readText: () => Promise.resolve(''),
    refreshTasks: nothing,
    taskHistory: () => Promise.resolve({ data: [], hasMore: false }),
    toast: () => 'toast-1',
    fail: () => undefined,
    dismissToast: () => undefined,
    reconnectNow: () => undefined,
  };
  const actions = Object.fromEntries(
    (Object.keys(defaults) as (keyof Actions)[]).map((name) => [
      name,
      (...args: never[]) => {
        calls.push({ name, args });
        return (overrides[name] ?? defaults[name])(...(args as unknown as [never, never, never]));
      },
    ]),
  ) as unknown as Actions;
  return {
    calls,
    actions,
    getState: () => state,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    start: nothing,
    visible: () => undefined,
    onConversation(listener) {
      arrivals.add(listener);
      return () => void arrivals.delete(listener);
    },
    set(patch) {
      state = { ...state, ...patch };
      for (const listener of listeners) listener();
    },
    on(name, f) {
      overrides[name] = f;
    },
    arrive(id) {
      for (const f of arrivals) f(id);
    },
  };
}

let made = 0;
const hour = 3_600_000;

export function task(id: number, title: string, more: Partial<Task> = {}): Task {
  return {
    task_id: id,
    title,
    description: '',
    due_on: null,
    status: 'open',
    deleted: false,
    created_at: '2026-11-23T09:00:00Z',
    updated_at: '2026-11-23T09:00:00Z',
    completed_at: null,
    task_rev: id,
    ...more,
  };
}

export function call(name: string, args: unknown, more: Partial<Call> = {}): Call {
  made++;
  return {
    call_id: `call-${made}`,
    server: 'tasks',
    name,
    arguments: args,
    by: 'model',
    status: 'done',
    duration_ms: 12,
    called_at: '2026-11-23T10:41:00Z',
    ...more,
  };
}

/** A run that is over with one step, unless more says otherwise. */
export function run(id: string, text: string, answer: string, more: Partial<Run> = {}): Run {
  const calls = more.calls ?? [];
  return {
    run_id: id,
    n: ++made,
    message: { message_id: `m-${id}`, text, time: '2026-11-23T10:41:00Z' },
    status: 'completed',
    started_at: '2026-11-23T10:41:00Z',
    ended_at: '2026-11-23T10:41:04Z',
    steps: [
      ...(calls.length > 0
        ? [{ step: 1, text: '', calls: calls.map((c) => c.call_id), usage: { input_tokens: 1, output_tokens: 1 } }]
        : []),
      { step: 2, text: answer, usage: { input_tokens: 1, output_tokens: 1 } },
    ],
    usage: { input_tokens: 1, output_tokens: 1 },
    ...more,
  };
}

export function conversation(id: string, title: string, runs: readonly Run[]): Conversation {
  return { user_id: 'ana', conversation_id: id, n: 40, title, runs: [...runs] };
}

export function summary(id: string, title: string, hoursAgo: number, more: Partial<Summary> = {}): Summary {
  const at = new Date(Date.now() - hoursAgo * hour).toISOString();
  return {
    conversation_id: id,
    title,
    read_n: 20,
    n: 20,
    status: 'idle',
    created_at: at,
    updated_at: at,
    last_text: '',
    ...more,
  };
}
