import { settle, signedIn } from '../../test/unit/page';
import { Server } from '../../test/unit/server';
import { isUnread } from './selectors';
import type { Store } from './state';

beforeEach(() => {
  jest.useFakeTimers();
  localStorage.clear();
});
afterEach(() => jest.useRealTimers());

const open = (store: Store) => store.getState().open;

describe('the list of conversations', () => {
  it('follows what happens elsewhere', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'one');
    server.ask('c2', 'two');
    await settle();
    const ids = () => store.getState().conversations.items.map((i) => i.conversation_id);
    expect(ids()).toEqual(['c2', 'c1']);
    server.append('c1', { type: 'conversation.renamed', title: 'Trip', by: 'model' });
    server.append('c2', { type: 'conversation.deleted' });
    await settle();
    expect(ids()).toEqual(['c1']);
    expect(store.getState().conversations.items[0]).toMatchObject({ title: 'Trip', status: 'in_progress' });
  });

  it('reads what was missed while the connection was away', async () => {
    const { store, server } = await signedIn();
    server.drop();
    server.ask('c1', 'one');
    server.task('Buy milk');
    server.restore();
    await settle();
    expect(store.getState().conversations.items).toHaveLength(1);
    expect(store.getState().tasks.byId[1]?.title).toBe('Buy milk');
  });

  it('[48] archives at once, offers to undo it, and knows the conversation when it comes back', async () => {
    const { store, server } = await signedIn();
    for (const id of ['c1', 'c2']) server.ask(id, 'x');
    server.append('c1', { type: 'conversation.read', read_n: 1 });
    await settle();
    const ids = () =>
      store
        .getState()
        .conversations.items.map((i) => i.conversation_id)
        .sort();
    const archiving = store.actions.archive('c1', true);
    expect(ids()).toEqual(['c2']);
    await archiving;
    expect(server.state('c1').archived).toBe(true);
    const undo = store.getState().toasts.find((t) => t.kind === 'undo');
    expect(undo?.expiresAt).toBe(10_000 + Date.now());
    undo?.action?.run();
    await settle();
    expect(server.state('c1').archived).toBeUndefined();
    expect(ids()).toEqual(['c1', 'c2']);

    // In another tab, and back by a message in it: it is as read as it was.
    server.append('c1', { type: 'conversation.archived', archived: true });
    await settle();
    expect(ids()).toEqual(['c2']);
    server.ask('c1', 'again');
    await settle();
    expect(ids()).toEqual(['c1', 'c2']);
    expect(store.getState().conversations.items.find((i) => i.conversation_id === 'c1')?.read_n).toBe(1);
  });

  it('[48] what could not be archived comes back', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'x');
    await settle();
    server.intercept = (f) =>
      f.type === 'archive' ? { type: 'error', id: f.id, code: 'conflict', message: 'No.' } : undefined;
    await store.actions.archive('c1', true);
    expect(store.getState().conversations.items).toHaveLength(1);
    expect(store.getState().toasts.at(-1)?.kind).toBe('error');
  });

  it('renames at once, and back if that fails', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'one');
    store.actions.openConversation('c1');
    await settle();
    const renamed = store.actions.rename('c1', ' Trip ');
    expect(store.getState().conversations.items[0]?.title).toBe('Trip');
    expect(open(store)?.state.title).toBe('Trip');
    await renamed;
    server.intercept = (f) =>
      f.type === 'rename' ? { type: 'error', id: f.id, code: 'invalid_message', message: 'Too long.' } : undefined;
    await store.actions.rename('c1', 'x'.repeat(999));
    expect(store.getState().conversations.items[0]?.title).toBe('Trip');
    expect(open(store)?.state.title).toBe('Trip');
    expect(store.getState().toasts).toMatchObject([
      {
        kind: 'error',
        text: 'Too long.',
        error: { code: 'invalid_message', requestId: server.sent('rename').at(-1)?.id },
      },
    ]);
    await settle(15_000);
    expect(store.getState().toasts).toEqual([]);
  });

  it('deletes at once, offers to undo, and undoes', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'one');
    store.actions.openConversation('c1');
    await settle();
    const removed = store.actions.remove('c1');
    expect(open(store)).toBeUndefined();
    expect(store.getState().conversations.items).toEqual([]);
    await removed;
    const toast = store.getState().toasts[0]!;
    expect(toast).toMatchObject({ kind: 'undo', action: { label: 'Undo' } });
    toast.action?.run();
    await settle();
    expect(server.state('c1').deleted).toBeUndefined();
    expect(store.getState().conversations.items).toHaveLength(1);
  });

  it('marks as read once, though the mark itself is one more commit', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'one');
    store.actions.openConversation('c1');
    await settle();
    expect(isUnread(store.getState().conversations.items[0]!)).toBe(true);
    const stop = store.subscribe(() => {
      const o = open(store);
      if (o) store.actions.markRead('c1', o.state.n);
    });
    store.actions.markRead('c1', open(store)!.state.n);
    expect(isUnread(store.getState().conversations.items[0]!)).toBe(false);
    await settle(10_000);
    expect(server.sent('read')).toHaveLength(1);
    server.finish('c1');
    await settle(10_000);
    expect(server.sent('read').map((f) => f.read_n)).toEqual([1, 4]);
    expect(isUnread(store.getState().conversations.items[0]!)).toBe(false);
    stop();
  });

  it('pins', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'one');
    await settle();
    await store.actions.pin('c1', true);
    expect(server.state('c1').pinned).toBe(true);
    expect(store.getState().conversations.items[0]?.pinned).toBe(true);
  });
});

describe('tasks', () => {
  it('[39] change by hand through the same commands as the tools', async () => {
    const { store, server } = await signedIn();
    const outcome = await store.actions.callTool('add_task', { title: 'Buy milk' });
    expect(outcome).toMatchObject({ ok: true, result: { task: { title: 'Buy milk' } } });
    await settle();
    expect(store.getState().tasks.byId[1]).toEqual(server.rows.get(1));
    expect(store.getState().tasks.changed[1]).toBeDefined();
  });

  it('say what a tool refused', async () => {
    const { store } = await signedIn();
    const outcome = await store.actions.callTool('add_task', {});
    expect(outcome).toMatchObject({
      ok: false,
      error: { code: 'tool_error', message: 'A task needs a title.', of: 'calls' },
    });
    expect(outcome.error?.requestId).toMatch(/^hand-/);
  });

  it('say that nothing was done without a connection', async () => {
    const { store, server } = await signedIn();
    server.drop();
    const outcome = store.actions.callTool('add_task', { title: 'x' });
    await settle(30_000);
    expect(await outcome).toMatchObject({ ok: false, error: { code: 'offline' } });
    server.restore();
    await settle();
    expect(server.rows.size).toBe(0);
  });

  it('[38] change in the same frame as the card of the tool that changed them', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'Add a task');
    store.actions.openConversation('c1');
    await settle();
    server.completeStep('c1', 'add_task');
    const task = server.task('From the model');
    const call_id = server.state('c1').runs[0]!.calls![0]!.call_id;
    const seen: [boolean, boolean][] = [];
    store.subscribe(() => {
      const s = store.getState();
      seen.push([s.open?.state.runs[0]?.calls?.[0]?.status === 'done', s.tasks.byId[1] !== undefined]);
    });
    const run_id = server.state('c1').runs[0]!.run_id;
    server.append(
      'c1',
      {
        type: 'tool.called',
        call_id,
        run_id,
        server: 'tasks',
        name: 'add_task',
        arguments: {},
        by: 'model',
        deadline: '2026-03-14T10:00:00Z',
      },
      { type: 'tool.returned', call_id, run_id, ok: true, result: { task }, duration_ms: 3 },
    );
    await settle();
    expect(seen.at(-1)).toEqual([true, true]);
    for (const [card, row] of seen) expect(card).toBe(row);
  });

  it('[41] keep the newer of two rows, whichever comes first', async () => {
    const { store, server } = await signedIn();
    const old = server.task('old');
    const fresh = server.task('new', { task_id: 1 });
    server.tell({ type: 'task', task: fresh });
    server.tell({ type: 'task', task: old });
    await settle();
    expect(store.getState().tasks.byId[1]?.title).toBe('new');
  });

  it('lose what was deleted while the connection was away, and do not get it back by a late frame', async () => {
    const server = new Server();
    const row = server.task('gone soon');
    server.task('stays');
    const { store } = await signedIn(server);
    server.drop();
    server.task('gone soon', { task_id: 1, deleted: true });
    server.restore();
    await settle();
    server.tell({ type: 'task', task: row });
    await settle();
    expect(Object.values(store.getState().tasks.byId).map((t) => t.title)).toEqual(['stays']);
  });
});
