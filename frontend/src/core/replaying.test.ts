import { goldens } from '../../test/unit/golden';
import { settle, signedIn } from '../../test/unit/page';
import { random } from '../../test/unit/random';
import { Server } from '../../test/unit/server';
import type { Conversation, Task } from '../protocol/types';
import { activeRun, path } from './path';
import { createReplay, type Replay } from './replaying';
import type { Actions, Store } from './state';

beforeEach(() => {
  jest.useFakeTimers();
  localStorage.clear();
});
afterEach(() => jest.useRealTimers());

const readerOf = (server: Server): Pick<Actions, 'read'> => ({
  read: (decode, path, query) => server.api.read(decode, server.user, path, query),
});

/** A replay that follows the live conversation, as the view makes it do. */
function following(store: Store, server: Server, id: string): Replay {
  const replay = createReplay(readerOf(server), server.user, id);
  const tell = () => replay.follow(store.getState().open?.state.n ?? 0);
  tell();
  store.subscribe(tell);
  return replay;
}

const living = (byId: Readonly<Record<number, Task>>) => Object.values(byId).filter((t) => !t.deleted);

/** The state as JSON, of the runs that live shows; has_more is about what is loaded. */
function shownIn(state: Conversation, live: Conversation): unknown {
  const ids = new Set(live.runs.map((r) => r.run_id));
  const { has_more: _, ...rest } = JSON.parse(JSON.stringify(state)) as Conversation;
  return { ...rest, runs: rest.runs.filter((r) => ids.has(r.run_id)) };
}

/** Now, in the replay, is what is on screen. */
function inStep(store: Store, replay: Replay) {
  const { recording, status, tasks } = replay.getState();
  const { open, tasks: list } = store.getState();
  expect([status, tasks]).toEqual(['ready', 'ready']);
  expect(recording.n).toBe(open!.state.n);
  const now = recording.chatAt(recording.n);
  expect(shownIn(now, open!.state)).toEqual(shownIn(open!.state, open!.state));
  const branch = path(open!.state).map((r) => r.run_id);
  expect(
    path(now)
      .map((r) => r.run_id)
      .slice(-branch.length),
  ).toEqual(branch);
  expect(living(recording.tasksAt(recording.n).byId)).toEqual(living(list.byId));
}

describe.each(goldens().filter((g) => g.commits[0]?.conversation_id !== 'home'))('[67] $name', ({ commits }) => {
  it('now equals what the live page has, from a first page and commits that came one by one', async () => {
    const id = commits[0]!.conversation_id;
    const server = new Server();
    server.user = commits[0]!.user_id;
    const start = Math.ceil(commits.length / 2);
    server.logs.set(id, commits.slice(0, start));
    const { store } = await signedIn(server);
    store.actions.openConversation(id);
    await settle();
    const replay = following(store, server, id);
    await settle();
    inStep(store, replay);
    for (const c of commits.slice(start)) {
      server.push(id, c);
      await settle();
      inStep(store, replay);
    }
  });
});

it.each(Array.from({ length: 12 }, (_, i) => i + 1))(
  '[67] now equals the live page whatever a person does, elsewhere too (seed %d)',
  async (seed) => {
    const rand = random(seed);
    const pick = (n: number) => Math.floor(rand() * n);
    const server = new Server();
    server.task('From before');
    server.task('Gone before', { deleted: true });
    server.ask('c1', 'Hello');
    server.finish('c1');
    const { store } = await signedIn(server);
    store.actions.openConversation('c1');
    await settle();
    const replay = following(store, server, 'c1');
    await settle();
    const change = (where: 'home' | 'c2' | 'c1', call: string) => {
      const old = [...server.rows.values()][pick(server.rows.size)]!;
      const again = rand() < 0.6 ? { task_id: old.task_id, deleted: rand() < 0.3 } : {};
      const task = server.task(`Title ${pick(100)}`, again, {
        conversation_id: where,
        call_id: call,
        at: server.now(),
      });
      server.tell({ type: 'task', task });
      return task;
    };
    for (let step = 0; step < 40; step++) {
      const run = activeRun(server.state('c1'));
      switch (pick(7)) {
        case 0:
          if (!run) server.ask('c1', `Question ${step}`, undefined, rand() < 0.3 ? 'root' : undefined);
          break;
        case 1:
          if (run) server.finish('c1');
          break;
        case 2:
          if (run && run.steps === undefined) {
            const commit = server.completeStep('c1', 'add_task');
            const call = `${run.run_id}-1-0`;
            server.append('c1', {
              type: 'tool.called',
              call_id: call,
              run_id: run.run_id,
              server: 'tasks',
              name: 'add_task',
              arguments: {},
              by: 'model',
              deadline: commit.time,
            });
            const result = { task: change('c1', call) };
            server.append('c1', { type: 'tool.returned', call_id: call, ok: true, result, duration_ms: 3 });
            server.append('c1', { type: 'run.completed', run_id: run.run_id, usage });
          }
          break;
        case 3:
          change('home', `hand-x${step}`);
          break;
        case 4:
          change('c2', `other-1-${step}`);
          break;
        case 5:
          server.drop();
          await settle();
          server.restore();
          break;
        default:
          server.append('c1', { type: 'conversation.renamed', title: `Title ${step}`, by: 'user' });
      }
      await settle();
    }
    // What was done elsewhere since the last commit is shown from the next one on.
    server.append('c1', { type: 'conversation.pinned', pinned: true });
    await settle(3000);
    inStep(store, replay);
    // And every instant is as it was, also for one who comes later.
    const later = createReplay(readerOf(server), server.user, 'c1');
    await settle();
    for (let n = 0; n <= later.getState().recording.n; n++) {
      expect(later.getState().recording.tasksAt(n).byId).toEqual(replay.getState().recording.tasksAt(n).byId);
    }
  },
);

const usage = { input_tokens: 1, output_tokens: 1 };

describe('[66] reading a history', () => {
  const history = () => {
    const server = new Server();
    for (let i = 0; i < 5; i++) {
      server.ask('c1', `Question ${i}`);
      server.finish('c1');
    }
    return server;
  };

  it('goes through all pages, and tells as it goes', async () => {
    const server = history();
    const replay = createReplay(readerOf(server), server.user, 'c1');
    const seen: number[] = [];
    replay.subscribe(() => seen.push(replay.getState().recording.n));
    await settle();
    expect(seen).toEqual([5, 10, 15, 15]);
    expect(replay.getState()).toMatchObject({ status: 'ready', tasks: 'ready', cut: false });
    expect(server.requests).toEqual([
      'conversations c1 events',
      'conversations c1 events',
      'conversations c1 events',
      'tasks history',
    ]);
  });

  it('says why it cannot, and tries again when asked', async () => {
    const server = history();
    server.outage = Object.assign(new Error('The server cannot be reached.'), { code: 'network' });
    const replay = createReplay(readerOf(server), server.user, 'c1');
    await settle();
    expect(replay.getState()).toMatchObject({ status: 'error', error: { code: 'network' } });
    server.outage = undefined;
    replay.retry();
    expect(replay.getState().status).toBe('loading');
    await settle();
    expect(replay.getState()).toMatchObject({ status: 'ready', tasks: 'ready' });
    expect(replay.getState()).not.toHaveProperty('error');
  });

  it('plays the chat where the history of the tasks cannot be had', async () => {
    const server = history();
    let broken = true;
    const whole = readerOf(server);
    const reader: typeof whole = {
      read: (decode, path, query) =>
        broken && path[0] === 'tasks' ? Promise.reject(new Error('no Postgres')) : whole.read(decode, path, query),
    };
    const replay = createReplay(reader, server.user, 'c1');
    await settle();
    expect(replay.getState()).toMatchObject({ status: 'ready', tasks: 'error' });
    broken = false;
    replay.retry();
    await settle();
    expect(replay.getState()).toMatchObject({ status: 'ready', tasks: 'ready' });
  });

  it('asks a server that lags behind again, but not in a hurry', async () => {
    const server = history();
    const replay = createReplay(readerOf(server), server.user, 'c1');
    await settle();
    server.requests.length = 0;
    replay.follow(16);
    await settle(900);
    expect(server.requests).toEqual(['conversations c1 events', 'tasks history']);
    server.append('c1', { type: 'conversation.pinned', pinned: true });
    await settle(1000);
    expect(replay.getState().recording.n).toBe(16);
    await settle(5000);
    expect(server.requests.filter((r) => r.endsWith('events'))).toHaveLength(2);
  });

  it('does nothing more once it is closed', async () => {
    const server = history();
    const replay = createReplay(readerOf(server), server.user, 'c1');
    const told = jest.fn();
    replay.subscribe(told);
    replay.close();
    await settle();
    expect(told).not.toHaveBeenCalled();
    expect(server.requests).toEqual(['conversations c1 events']);
  });
});
