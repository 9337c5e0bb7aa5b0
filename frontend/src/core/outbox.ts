import type { ServerFrame } from '../protocol/types';
import { isPassing } from './errors';
import type { Kernel } from './kernel';
import type { Link } from './link';
import type { OutboxItem } from './state';

/** How often a message that the server could not take goes out by itself again. */
const tries = 5;

/** How long a stored message takes at most to be acknowledged on a good connection. */
const patience = 20_000;

const storageKey = 'parley.outbox';

/** Messages that the server has not stored yet, or that the page does not show yet. */
export interface Outbox {
  send(text: string, to: { conversationId?: string; chat?: string; parentId?: string }): string;
  retry(id: string): void;
  discard(id: string): void;
  frame(f: ServerFrame): boolean;
  online(): void;
  offline(): void;
  /** A conversation on screen shows these messages. */
  shown(messageIds: readonly string[]): void;
  /** The conversation on screen has changed. */
  left(): void;
  /** Reads what a reload left unsent. */
  restore(userId: string): void;
  clear(): void;
}

interface Events {
  /** A message is stored. */
  accepted(item: OutboxItem, conversationId: string, runId: string | undefined): void;
  /** A message was not acknowledged on a connection that looks good. */
  silent(): void;
}

export function createOutbox(k: Kernel, link: Link, events: Events): Outbox {
  /** What is on its way on this connection, with the timer of its acknowledgement. */
  const flying = new Map<string, ReturnType<typeof setTimeout>>();
  const failures = new Map<string, number>();
  const delayed = new Map<string, ReturnType<typeof setTimeout>>();
  let userId = '';

  const items = () => k.state.outbox;
  const find = (id: string) => items().find((i) => i.id === id);
  const lane = (i: OutboxItem) => i.conversationId ?? `new ${i.chat ?? ''}`;

  function put(next: readonly OutboxItem[]) {
    k.patch({ outbox: next });
    const unsent = next.filter((i) => i.runId === undefined);
    try {
      if (unsent.length === 0) k.deps.storage.removeItem(storageKey);
      else k.deps.storage.setItem(storageKey, JSON.stringify({ userId, items: unsent }));
    } catch {
      // Full or refused storage: the page still asks before it is left.
    }
  }

  function change(id: string, f: (i: OutboxItem) => OutboxItem) {
    put(items().map((i) => (i.id === id ? f(i) : i)));
  }

  function land(id: string) {
    clearTimeout(flying.get(id));
    flying.delete(id);
    clearTimeout(delayed.get(id));
    delayed.delete(id);
  }

  /** Sends the oldest message of each conversation that is not on its way: one at a time keeps their order. */
  function pump() {
    const busy = new Set<string>();
    for (const item of items()) {
      if (item.status === 'failed' || item.runId !== undefined) continue;
      if (busy.has(lane(item))) continue;
      busy.add(lane(item));
      if (flying.has(item.id) || delayed.has(item.id)) continue;
      const timezone = k.deps.timezone();
      const sent = link.send({
        type: 'message',
        id: item.id,
        ...(item.conversationId !== undefined && { conversation_id: item.conversationId }),
        message: item.text,
        ...(item.parentId !== undefined && { parent_id: item.parentId }),
        ...(timezone !== undefined && { timezone }),
      });
      if (!sent) return;
      flying.set(
        item.id,
        setTimeout(() => events.silent(), patience),
      );
      change(item.id, (i) => ({ ...i, status: 'sending' }));
    }
  }

  function accepted(id: string, conversationId: string, runId: string | undefined) {
    const item = find(id);
    if (!item) return;
    land(id);
    failures.delete(id);
    put(
      items().map((i) => {
        if (i.id === id) return { ...i, conversationId, status: 'sending', runId: runId ?? '' };
        // What was typed after it in the same new conversation now has a place to go.
        if (item.conversationId === undefined && i.conversationId === undefined && i.chat === item.chat) {
          const { chat: _, ...rest } = i;
          return { ...rest, conversationId };
        }
        return i;
      }),
    );
    events.accepted(item, conversationId, runId);
    pump();
  }

  function refused(id: string, f: Extract<ServerFrame, { type: 'error' }>) {
    land(id);
    const failed = (failures.get(id) ?? 0) + 1;
    failures.set(id, failed);
    if (isPassing(f.code) && failed < tries) {
      change(id, (i) => ({ ...i, status: 'waiting' }));
      const wait = (f.retry_after ?? 2 ** (failed - 1)) * 1000;
      delayed.set(
        id,
        setTimeout(() => {
          delayed.delete(id);
          pump();
        }, wait),
      );
      return;
    }
    change(id, (i) => ({ ...i, status: 'failed', error: { code: f.code, message: f.message, requestId: id } }));
    pump();
  }

  return {
    send(text, to) {
      const id = k.deps.newId();
      put([...items(), { id, text, status: 'waiting', createdAt: k.deps.now(), ...to }]);
      pump();
      return id;
    },

    retry(id) {
      const item = find(id);
      if (item?.status !== 'failed') return;
      failures.delete(id);
      const { error: _, ...rest } = item;
      // To the end: what was written after it has gone already.
      put([...items().filter((i) => i.id !== id), { ...rest, status: 'waiting' }]);
      pump();
    },

    discard(id) {
      land(id);
      put(items().filter((i) => i.id !== id));
      pump();
    },

    frame(f) {
      if (f.type === 'accepted') {
        const known = find(f.id) !== undefined;
        accepted(f.id, f.conversation_id, f.run_id);
        return known;
      }
      if (f.type === 'error' && f.id !== undefined && find(f.id)) {
        refused(f.id, f);
        return true;
      }
      return false;
    },

    online: pump,

    offline() {
      for (const id of [...flying.keys()]) land(id);
      if (items().some((i) => i.status === 'sending' && i.runId === undefined)) {
        put(items().map((i) => (i.status === 'sending' && i.runId === undefined ? { ...i, status: 'waiting' } : i)));
      }
    },

    shown(messageIds) {
      const gone = new Set(messageIds);
      if (!items().some((i) => gone.has(i.id))) return;
      for (const id of messageIds) land(id);
      put(items().filter((i) => !gone.has(i.id)));
      pump();
    },

    left() {
      if (items().some((i) => i.runId !== undefined)) put(items().filter((i) => i.runId === undefined));
    },

    restore(user) {
      userId = user;
      let kept: OutboxItem[] = [];
      try {
        const saved = JSON.parse(k.deps.storage.getItem(storageKey) ?? 'null') as {
          userId: string;
          items: OutboxItem[];
        } | null;
        if (saved?.userId === user) kept = saved.items;
      } catch {
        // Nothing that can be read.
      }
      const known = new Set(items().map((i) => i.id));
      kept = kept.filter((i) => !known.has(i.id));
      if (kept.length === 0) return;
      const chat = kept.find((i) => i.conversationId === undefined)?.chat;
      if (chat !== undefined) k.merge({ newChat: chat });
      put([...kept.map((i) => (i.status === 'sending' ? { ...i, status: 'waiting' as const } : i)), ...items()]);
      pump();
    },

    clear() {
      for (const i of items()) land(i.id);
      failures.clear();
      put([]);
      userId = '';
    },
  };
}
