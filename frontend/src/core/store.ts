import type { ServerFrame } from '../protocol/types';
import { taskOf } from '../protocol/decode';
import { createCommands } from './commands';
import { createConversations, noConversations } from './conversations';
import { clearDrafts } from './drafts';
import { errorInfo, Failure, isPassing } from './errors';
import { find, loadAll } from './find';
import { createFollowing } from './following';
import { createKernel } from './kernel';
import type { Link } from './link';
import { createOutbox } from './outbox';
import { activeRun, isOver } from './path';
import type { Deps, Socket, SocketEvents } from './ports';
import { outboxHere } from './selectors';
import type { Actions, AppState, CallOutcome, Store } from './state';
import { createTasks, noTasks } from './tasks';

/** After a renewed token was refused as well, how soon is too soon to renew again. */
const renewEvery = 30_000;

/** How long the lists wait for the socket. */
const listsAfter = 1500;

export function createStore(deps: Deps): Store {
  const initial: AppState = {
    session: { status: 'unknown' },
    connection: { status: 'connecting', since: deps.now() },
    conversations: noConversations,
    newChat: deps.newId(),
    tasks: noTasks,
    outbox: [],
    stopping: [],
    toasts: [],
  };
  const k = createKernel(deps, initial);
  const arrivals = new Set<(id: string) => void>();
  let socket: Socket | undefined;
  let wasOnline = false;
  let renewed = -Infinity;
  let signing = 0;

  const link: Link = { send: (f) => socket?.send(f) ?? false };
  const userId = () => (k.state.session.status === 'signed-in' ? k.state.session.userId : undefined);
  const signedIn = () => {
    const user = userId();
    if (user === undefined) throw new Failure('signed_out', 'You have signed out.');
    return user;
  };
  const commands = createCommands(link);
  const tasks = createTasks(k, userId);
  const conversations = createConversations(k, commands, userId);

  /** Messages that wait for their run id to be stopped. */
  const stopOnceStored = new Set<string>();

  const outbox = createOutbox(k, link, {
    accepted(item, conversationId, runId) {
      if (item.conversationId === undefined && !k.state.open && k.state.newChat === item.chat) {
        following.adopt(conversationId);
        for (const f of [...arrivals]) f(conversationId);
      } else if (k.state.open?.id !== conversationId) {
        outbox.left();
        link.send({ type: 'unsubscribe', conversation_id: conversationId });
      }
      if (stopOnceStored.delete(item.id) && runId !== undefined) cancel(conversationId, runId);
    },
    silent: () => socket?.reconnectNow(),
  });

  const following = createFollowing(k, link, userId, {
    changed(state) {
      if (k.state.outbox.length > 0) outbox.shown(state.runs.map((r) => r.message.message_id));
      if (k.state.stopping.length > 0) {
        const over = new Set(state.runs.filter((r) => isOver(r.status)).map((r) => r.run_id));
        if (k.state.stopping.some((id) => over.has(id))) {
          k.merge({ stopping: k.state.stopping.filter((id) => !over.has(id)) });
        }
      }
    },
    commit: (f) => tasks.commit(f.commit),
    left: () => outbox.left(),
  });

  function cancel(conversationId: string, runId: string) {
    if (k.state.stopping.includes(runId)) return;
    k.patch({ stopping: [...k.state.stopping, runId] });
    commands
      .request({ type: 'cancel', id: deps.newId(), conversation_id: conversationId, run_id: runId })
      .catch((err: unknown) => {
        k.merge({ stopping: k.state.stopping.filter((id) => id !== runId) });
        k.fail(err);
      });
  }

  function frame(f: ServerFrame) {
    switch (f.type) {
      case 'connected':
        if (k.state.config && f.server_version !== k.state.config.server_version) {
          k.merge({ newVersion: f.server_version });
        }
        return;
      case 'commit':
      case 'live':
      case 'delta':
      case 'snapshot':
        following.frame(f);
        return;
      case 'conversation':
        conversations.frame(f);
        return;
      case 'task':
        tasks.upsert(f.task);
        return;
      case 'error':
        if (!commands.frame(f) && !outbox.frame(f) && f.conversation_id !== undefined) following.failed(f);
        return;
      case 'accepted':
        if (!outbox.frame(f)) commands.frame(f);
        return;
      case 'done':
      case 'call':
      case 'call_result':
        commands.frame(f);
        return;
      case 'pong':
        return;
    }
  }

  const events: SocketEvents = {
    connection(state) {
      k.merge({ connection: state });
      if (state.status === 'online' && !wasOnline) {
        wasOnline = true;
        following.online();
        outbox.online();
        commands.online();
        // What changed meanwhile was told to nobody.
        void conversations.load();
        void tasks.refresh();
      } else if (state.status !== 'online' && wasOnline) {
        wasOnline = false;
        following.offline();
        outbox.offline();
      }
      k.patch({});
    },
    frame,
    malformed: () => following.resume(),
    refused(code) {
      socket?.close();
      socket = undefined;
      deps.session.invalidate();
      const user = userId();
      if (user === undefined) return;
      if (code === 4401 && deps.now() - renewed > renewEvery) {
        renewed = deps.now();
        socket = deps.connect(user, events);
        return;
      }
      expire();
    },
  };

  /** The sign-in has ended: the page asks for another, over what is on screen. */
  function expire() {
    const user = userId();
    if (user === undefined) return;
    if (wasOnline) {
      following.offline();
      outbox.offline();
    }
    disconnect();
    k.patch({
      session: { status: 'expired', userId: user },
      connection: { status: 'offline', since: deps.now() },
    });
  }
  deps.session.onEnded(expire);

  function disconnect() {
    socket?.close();
    socket = undefined;
    wasOnline = false;
  }

  /** Forgets everything of one person. */
  function reset() {
    disconnect();
    following.clear();
    outbox.clear();
    commands.clear();
    conversations.clear();
    tasks.clear();
    k.merge({ stopping: [], newChat: deps.newId() });
  }

  async function signIn(user: string) {
    const mine = ++signing;
    const { session } = k.state;
    const wanted = k.state.open?.id;
    if (session.userId !== undefined && session.userId !== user) {
      reset();
      clearDrafts();
    }
    k.patch({ session: { status: 'signing-in', userId: user } });
    await deps.session.signIn(user);
    if (mine !== signing) return;
    k.patch({ session: { status: 'signed-in', userId: user } });
    outbox.restore(user);
    if (wanted !== undefined) following.open(wanted);
    disconnect();
    socket = deps.connect(user, events);
    // The lists are read once the socket tells of their changes, or without it.
    setTimeout(() => {
      if (mine !== signing || wasOnline) return;
      void conversations.load();
      void tasks.refresh();
    }, listsAfter);
  }

  const actions: Actions = {
    async signInAs(user) {
      const before = k.state.session;
      try {
        await signIn(user);
      } catch (err) {
        const error = errorInfo(err);
        const expired = before.status === 'expired' && before.userId === user;
        k.patch({ session: expired ? { ...before, error } : { status: 'signed-out', error } });
      }
    },
    signOut() {
      signing++;
      deps.session.signOut();
      reset();
      clearDrafts();
      k.patch({ session: { status: 'signed-out' }, connection: { status: 'connecting', since: deps.now() } });
    },
    openConversation: (id) => following.open(id),
    loadOlder: () => following.loadOlder(),
    find: (id) => find(k, following, id),
    loadAll: () => loadAll(k, following),
    send(text, opts) {
      const open = k.state.open;
      return outbox.send(text, {
        ...(open ? { conversationId: open.id } : { chat: k.state.newChat }),
        ...(opts?.parentId !== undefined && { parentId: opts.parentId }),
      });
    },
    retry: (id) => outbox.retry(id),
    discard: (id) => outbox.discard(id),
    stop() {
      const open = k.state.open;
      const run = open && activeRun(open.state);
      if (run) {
        cancel(open.id, run.run_id);
        return;
      }
      const last = outboxHere(k.state).findLast((i) => i.status !== 'failed');
      if (!last) return;
      if (last.runId && last.conversationId !== undefined) cancel(last.conversationId, last.runId);
      else if (last.status === 'waiting') outbox.discard(last.id);
      else stopOnceStored.add(last.id);
    },
    cancelRun(runId) {
      if (k.state.open) cancel(k.state.open.id, runId);
    },
    regenerate(runId) {
      const open = k.state.open;
      if (!open) return;
      const timezone = deps.timezone();
      commands
        .request({
          type: 'regenerate',
          id: deps.newId(),
          conversation_id: open.id,
          run_id: runId,
          ...(timezone !== undefined && { timezone }),
        })
        .catch((err: unknown) => k.fail(err));
    },
    async rate(runId, rating, reason) {
      const open = k.state.open;
      if (!open) return;
      await commands
        .request({
          type: 'rate',
          id: deps.newId(),
          conversation_id: open.id,
          run_id: runId,
          rating,
          ...(reason !== undefined && { reason }),
        })
        .catch((err: unknown) => k.fail(err));
    },
    async callTool(name, args): Promise<CallOutcome> {
      try {
        const answer = await commands.request({ type: 'call_tool', id: deps.newId(), name, arguments: args });
        if (answer.type !== 'call_result') return { ok: true };
        const row = answer.ok ? taskOf(answer.result) : undefined;
        if (row) tasks.upsert(row);
        return {
          ok: answer.ok,
          ...(answer.result !== undefined && { result: answer.result }),
          ...(answer.error && { error: { ...answer.error, of: 'calls', requestId: answer.call_id } }),
        };
      } catch (err) {
        return { ok: false, error: errorInfo(err) };
      }
    },
    async answer(callId, decision, args) {
      const open = k.state.open;
      if (!open) return false;
      try {
        await commands.request({
          type: 'answer',
          id: deps.newId(),
          conversation_id: open.id,
          call_id: callId,
          decision,
          ...(args !== undefined && { arguments: args }),
        });
        return true;
      } catch (err) {
        k.fail(err);
        return false;
      }
    },
    rename: (id, title) => conversations.rename(id, title),
    pin: (id, pinned) => conversations.pin(id, pinned),
    archive: (id, archived) => conversations.archive(id, archived),
    markRead: (id, n) => conversations.markRead(id, n),
    remove: (id) => conversations.remove(id),
    restore: (id) => conversations.restore(id),
    loadMoreConversations: () => conversations.more(),
    read: (decode, path, query) => deps.api.read(decode, signedIn(), path, query),
    readText: (path, query) => deps.api.readText(signedIn(), path, query),
    refreshTasks: () => tasks.refresh(),
    async taskHistory(taskId, after) {
      const user = userId();
      if (user === undefined) return { data: [], hasMore: false };
      const page = await deps.api.taskHistory(user, taskId, after === undefined ? {} : { after });
      return {
        data: [...page.data],
        hasMore: page.has_more,
        ...(page.after !== undefined && { after: page.after }),
      };
    },
    toast: (kind, text, action) => k.toast(kind, text, action),
    fail: (error) => k.fail(error),
    dismissToast: (id) => k.dismissToast(id),
    reconnectNow: () => socket?.reconnectNow(),
  };

  return {
    getState: () => k.published,
    subscribe: (listener) => k.subscribe(listener),
    actions,
    visible: () => k.visible(),
    onConversation(listener) {
      arrivals.add(listener);
      return () => void arrivals.delete(listener);
    },
    async start() {
      const user = deps.session.remembered();
      if (user !== undefined) k.patch({ session: { status: 'unknown', userId: user } });
      for (let wait = 500; ; wait = Math.min(15_000, wait * 2)) {
        try {
          // Side by side: on a slow line each of them is a round trip.
          const asked = await Promise.allSettled([
            k.state.config ? undefined : deps.api.config().then((config) => k.patch({ config })),
            user !== undefined && k.state.session.status === 'unknown' ? signIn(user) : undefined,
          ]);
          for (const answer of asked) if (answer.status === 'rejected') throw answer.reason;
          if (user === undefined && k.state.session.status === 'unknown')
            k.patch({ session: { status: 'signed-out' } });
          return;
        } catch (err) {
          const error = errorInfo(err);
          if (!isPassing(error.code)) {
            k.patch({ session: { status: 'signed-out', error } });
            return;
          }
          // Who was let in needs the configuration only, and the socket tells of the connection.
          if (k.state.session.status !== 'signed-in') {
            k.patch({
              session: { status: 'unknown', error },
              connection: { status: 'offline', since: deps.now(), retryAt: deps.now() + wait },
            });
          }
          await new Promise((resolve) => setTimeout(resolve, wait));
        }
      }
    },
  };
}
