import type { ServerFrame, Summary } from '../protocol/types';
import type { Commands } from './commands';
import type { Kernel } from './kernel';
import type { ConversationsState } from './state';
import { isUnread } from './selectors';

export const noConversations: ConversationsState = { items: [], status: 'idle', hasMore: false };

type ConversationFrame = Extract<ServerFrame, { type: 'conversation' }>;

/** The list of the person's conversations and what is done to one from there. */
export interface Conversations {
  load(): Promise<void>;
  more(): Promise<void>;
  frame(f: ConversationFrame): void;
  rename(id: string, title: string): Promise<void>;
  pin(id: string, pinned: boolean): Promise<void>;
  archive(id: string, archived: boolean): Promise<void>;
  markRead(id: string, n: number): void;
  remove(id: string): Promise<void>;
  restore(id: string): Promise<void>;
  clear(): void;
}

const readAfter = 1000;

export function createConversations(k: Kernel, commands: Commands, userId: () => string | undefined): Conversations {
  const { texts } = k.deps;
  let turn = 0;
  let after: string | undefined;
  /** What is about to be marked as read, by conversation, and what was. */
  const reading = new Map<string, number>();
  const asked = new Map<string, number>();
  /** What was deleted here, with the n of the deletion once it is known. */
  const gone = new Map<string, number>();

  /** What was put away while the page was looking, to know it when it comes back. */
  const aside = new Map<string, Summary>();

  const list = () => k.state.conversations;
  const put = (items: readonly Summary[], rest?: Partial<ConversationsState>) => {
    for (const i of items) if (i.archived) aside.set(i.conversation_id, i);
    k.merge({
      conversations: {
        ...list(),
        items: items.filter((i) => !i.deleted && !i.archived && !gone.has(i.conversation_id)),
        ...rest,
      },
    });
  };
  const find = (id: string) => list().items.find((i) => i.conversation_id === id);
  const change = (id: string, f: (s: Summary) => Summary) =>
    put(list().items.map((i) => (i.conversation_id === id ? f(i) : i)));

  async function page(from: string | undefined) {
    const user = userId();
    if (user === undefined) return;
    const mine = ++turn;
    k.patch({ conversations: { ...list(), status: list().items.length > 0 ? list().status : 'loading' } });
    try {
      const p = await k.deps.api.conversations(user, from === undefined ? {} : { after: from });
      if (mine !== turn) return;
      after = p.after;
      const fresh = new Set(p.data.map((s) => s.conversation_id));
      const kept = from === undefined ? [] : list().items.filter((i) => !fresh.has(i.conversation_id));
      put([...kept, ...p.data], { status: 'ready', hasMore: p.has_more });
    } catch {
      if (mine !== turn) return;
      k.merge({ conversations: { ...list(), status: 'error' } });
    }
    k.patch({});
  }

  /** Does something to the server's copy; if that fails, the page's goes back and its person is told. */
  async function attempt(act: () => Promise<unknown>, undo: () => void): Promise<boolean> {
    try {
      await act();
      return true;
    } catch (err) {
      undo();
      k.fail(err);
      return false;
    }
  }

  const self: Conversations = {
    load: () => page(undefined),

    async more() {
      if (list().hasMore && list().status === 'ready' && after !== undefined) await page(after);
    },

    frame(f) {
      const old = find(f.conversation_id);
      const deletedAt = gone.get(f.conversation_id);
      if (deletedAt !== undefined) {
        if (f.deleted || f.n <= deletedAt) return;
        gone.delete(f.conversation_id); // restored elsewhere
      }
      if (!old) {
        if (f.deleted || f.archived || list().status !== 'ready') return;
        const { type: _, ...rest } = f;
        const { read_n, created_at } = aside.get(f.conversation_id) ?? { read_n: 0, created_at: f.updated_at };
        put(newestFirst([{ ...rest, read_n, created_at }, ...list().items]));
      } else {
        if (f.n < old.n) return;
        const quiet = f.title === old.title && f.status === 'idle' && old.status === 'idle';
        const next: Summary = {
          ...old,
          title: f.title,
          n: f.n,
          status: f.status,
          pinned: f.pinned === true,
          archived: f.archived === true,
          deleted: f.deleted === true,
          // A commit that only says "read" or "pinned" is no news.
          updated_at: quiet ? old.updated_at : f.updated_at,
        };
        const items = list().items.map((i) => (i === old ? next : i));
        put(quiet ? items : newestFirst(items));
      }
      k.soon();
    },

    async rename(id, title) {
      const old = find(id);
      const words = title.trim();
      if (words === '' || words === old?.title) return;
      change(id, (s) => ({ ...s, title: words, title_by: 'user' }));
      const open = k.state.open;
      if (open?.id === id) k.merge({ open: { ...open, state: { ...open.state, title: words } } });
      k.patch({});
      await attempt(
        () => commands.request({ type: 'rename', id: k.deps.newId(), conversation_id: id, title: words }),
        () => {
          if (old) change(id, (s) => ({ ...s, title: old.title }));
          const now = k.state.open;
          if (open?.id === id && now?.id === id) {
            const { title: _, ...state } = now.state;
            k.merge({ open: { ...now, state: { ...state, ...(open.state.title && { title: open.state.title }) } } });
          }
        },
      );
    },

    async pin(id, pinned) {
      const old = find(id);
      change(id, (s) => ({ ...s, pinned }));
      k.patch({});
      await attempt(
        () => commands.request({ type: 'pin', id: k.deps.newId(), conversation_id: id, pinned }),
        () => change(id, (s) => ({ ...s, pinned: old?.pinned === true })),
      );
    },

    async archive(id, archived) {
      const old = find(id);
      const open = k.state.open?.id === id ? k.state.open.state : undefined;
      change(id, (s) => ({ ...s, archived }));
      k.patch({});
      const done = await attempt(
        () => commands.request({ type: 'archive', id: k.deps.newId(), conversation_id: id, archived }),
        () => {
          if (old) put(newestFirst([...list().items, old]));
        },
      );
      if (!done) return;
      if (!archived) {
        await page(undefined);
        return;
      }
      const undo = { label: texts.undo, run: () => void self.archive(id, false) };
      k.toast('undo', texts.archived(old?.title ?? open?.title ?? ''), undo);
    },

    markRead(id, n) {
      const open = k.state.open?.id === id ? k.state.open.state : undefined;
      const waiting = reading.get(id);
      if (waiting !== undefined) {
        reading.set(id, Math.max(n, waiting));
        return;
      }
      const known = Math.max(asked.get(id) ?? 0, open ? (open.read_n ?? 0) : (find(id)?.read_n ?? 0));
      if (!isUnread({ n, read_n: known })) return;
      reading.set(id, n);
      change(id, (s) => ({ ...s, read_n: Math.max(s.read_n, n) }));
      k.patch({});
      setTimeout(() => {
        const upTo = reading.get(id);
        if (upTo === undefined) return; // signed out meanwhile
        reading.delete(id);
        asked.set(id, upTo);
        change(id, (s) => ({ ...s, read_n: Math.max(s.read_n, upTo) }));
        k.patch({});
        commands
          .request({ type: 'read', id: k.deps.newId(), conversation_id: id, read_n: upTo })
          .catch(() => asked.delete(id)); // the next visit tries again
      }, readAfter);
    },

    async remove(id) {
      const old = find(id);
      const wasOpen = k.state.open?.id === id;
      gone.set(id, Infinity);
      put(list().items);
      if (wasOpen) k.merge({ open: undefined, newChat: k.deps.newId() });
      k.patch({});
      const done = await attempt(
        async () => {
          const answer = await commands.request({ type: 'delete', id: k.deps.newId(), conversation_id: id });
          gone.set(id, answer.type === 'done' ? (answer.n ?? 0) : 0);
        },
        () => {
          gone.delete(id);
          if (old) put(newestFirst([...list().items, old]));
        },
      );
      if (done) {
        k.toast('undo', texts.deleted(old?.title ?? ''), { label: texts.undo, run: () => void self.restore(id) });
      }
    },

    async restore(id) {
      const done = await attempt(
        () => commands.request({ type: 'restore', id: k.deps.newId(), conversation_id: id }),
        () => undefined,
      );
      if (!done) return;
      gone.delete(id);
      await page(undefined);
    },

    clear() {
      turn++;
      gone.clear();
      aside.clear();
      reading.clear();
      asked.clear();
      k.merge({ conversations: noConversations });
    },
  };
  return self;
}

function newestFirst(items: readonly Summary[]): Summary[] {
  return [...items].sort((a, b) => (a.updated_at < b.updated_at ? 1 : a.updated_at > b.updated_at ? -1 : 0));
}
