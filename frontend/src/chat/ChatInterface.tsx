import { useCallback, useEffect, useMemo, useRef, useState, type Ref } from 'react';

import { loadDraft, moveDraft, saveDraft } from '../core/drafts';
import { isPassing } from '../core/errors';
import { activeRun, path, siblings, tipOf } from '../core/path';
import { shallow, useActions, useStore, useStoreObject } from '../core/react';
import { outboxHere } from '../core/selectors';
import type { AppState, OutboxItem } from '../core/state';
import { t } from '../i18n/t';
import type { Run } from '../protocol/types';
import { Button } from '../ui/Button';
import { ErrorNote } from '../ui/ErrorNote';
import { later } from '../ui/later';
import { singleKeys } from '../ui/prefs';
import { Skeleton } from '../ui/Skeleton';
import { changesOf } from './answer';
import { EmptyState } from './EmptyState';
import { MessageInput, type MessageInputHandle } from './MessageInput';
import type { MessageListHandle } from './MessageList';
import { QueueList, type QueuedMessage } from './QueueList';
import { useStatus } from './useStatus';
import { useTarget } from './useTarget';
import { useTitle } from './useTitle';

/** What the shortcuts of the page need of the chat. */
export interface ChatHandle {
  focus: () => void;
  step: (by: 1 | -1) => void;
}

interface Props {
  ref?: Ref<ChatHandle>;
  /** The newest run of the branch to show; undefined for the current one. */
  tip: string | undefined;
  onTip: (runId: string | undefined) => void;
  /** The message that the address names, and how often it was asked for. */
  target?: string | undefined;
  visit?: number;
  /** That message is on a branch that ends here. */
  onBranch?: (tip: string) => void;
  onTask: (id: number, history?: boolean) => void;
  onWhy?: ((run: Run) => void) | undefined;
}

const waiting = (
  <div id="messages" tabIndex={-1} className="flex-1">
    <Skeleton rows={8} className="measure pt-8" />
  </div>
);

export const MessageList = later(() => import('./MessageList').then((m) => m.MessageList), waiting);

const none: readonly OutboxItem[] = [];

/** What is being written is drawn by its own row alone, twenty times a second. */
function sameButDraft(a: AppState['open'], b: AppState['open']): boolean {
  return a === b || (a !== undefined && b !== undefined && shallow({ ...a, draft: 0 }, { ...b, draft: 0 }));
}

/** A conversation: its messages, and the box to write the next one. */
export function ChatInterface({ ref, tip: wantedTip, onTip, target, visit = 0, onBranch, onTask, onWhy }: Props) {
  const open = useStore((s) => s.open, sameButDraft);
  const pending = useStore(outboxHere, shallow);
  const connected = useStore((s) => s.connection.status === 'online');
  const stoppingRuns = useStore((s) => s.stopping);
  const config = useStore((s) => s.config);
  const newChat = useStore((s) => s.newChat);
  const actions = useActions();
  const store = useStoreObject();
  const input = useRef<MessageInputHandle>(null);
  const list = useRef<MessageListHandle>(null);
  // The run whose message is being edited.
  const [editing, setEditing] = useState<Run>();
  const conversation = open?.state;
  // An address may name a branch that is not there.
  const tip = conversation?.runs.some((r) => r.run_id === wantedTip) ? wantedTip : undefined;
  const draftKey = open?.id ?? 'new';
  const here = open?.id ?? newChat;
  const [place, setPlace] = useState({ here, isNew: open === undefined, view: 0 });

  if (place.here !== here) {
    // A new conversation that has just been given its id is still the same view.
    const adopted = place.isNew && open !== undefined && pending.length > 0;
    if (adopted) moveDraft('new', here);
    setPlace({ here, isNew: open === undefined, view: adopted ? place.view : place.view + 1 });
    setEditing(undefined);
  }

  useStatus(conversation, open?.status === 'live');
  useTitle();
  useRead();
  useNoFiles();
  useTarget({ target, visit, tip, onBranch, show: (id) => list.current?.show(id) === true });

  const { shown, queued } = useMemo(() => {
    const all = conversation ? path(conversation, tip) : [];
    return { shown: all.filter((r) => r.status !== 'queued'), queued: all.filter((r) => r.status === 'queued') };
  }, [conversation, tip]);
  const active = conversation ? activeRun(conversation) : undefined;
  const sending = pending.some((i) => i.status !== 'failed');
  const running = active !== undefined || queued.length > 0;
  // Behind a running answer a new message queues up; otherwise it is shown in its place.
  const lined = running ? pending.filter((i) => i.status !== 'failed') : none;
  const placed = running ? pending.filter((i) => i.status === 'failed') : pending;
  const queue: QueuedMessage[] = [
    ...queued.map((r) => ({ id: r.run_id, text: r.message.text })),
    ...lined.map((i) => ({ id: i.id, text: i.text })),
  ];

  const loadOlder = useCallback(() => actions.loadOlder(), [actions]);

  const send = useCallback(
    (text: string) => {
      const last = shown.at(-1);
      const parentId = editing ? (editing.parent_id ?? 'root') : tip === undefined ? undefined : last?.run_id;
      setEditing(undefined);
      actions.send(text, parentId === undefined || parentId === '' ? {} : { parentId });
      // What is sent is on the newest branch, whichever was shown.
      if (wantedTip !== undefined || target !== undefined) onTip(undefined);
      list.current?.sent();
    },
    [actions, editing, onTip, shown, target, tip, wantedTip],
  );

  const again = useCallback(
    (run: Run) => {
      actions.regenerate(run.run_id);
      if (wantedTip !== undefined || target !== undefined) onTip(undefined);
      list.current?.sent();
    },
    [actions, onTip, target, wantedTip],
  );

  const edit = useCallback((run: Run) => {
    setEditing(run);
    input.current?.edit(run.message.text);
  }, []);

  /** Takes a message that was not sent back into the box, keeping what stands there. */
  const takeBack = useCallback(
    (text: string) => {
      const kept = loadDraft(draftKey);
      const next = kept.trim() === '' ? text : `${kept}\n\n${text}`;
      saveDraft(draftKey, next);
      input.current?.set(next);
    },
    [draftKey],
  );

  const editPending = useCallback(
    (item: OutboxItem) => {
      takeBack(item.text);
      actions.discard(item.id);
    },
    [actions, takeBack],
  );

  const removeQueued = useCallback(
    (item: QueuedMessage) => {
      if (queued.some((r) => r.run_id === item.id)) actions.cancelRun(item.id);
      else actions.discard(item.id);
    },
    [actions, queued],
  );

  const version = useCallback(
    (run: Run, index: number) => {
      const state = store.getState().open?.state;
      if (!state) return;
      const chosen = siblings(state, run)[index];
      if (chosen) onTip(tipOf(state, chosen).run_id);
    },
    [onTip, store],
  );

  useEffect(() => {
    const stopKey = (e: KeyboardEvent) => {
      if (e.key !== 'Escape' || e.defaultPrevented || e.isComposing || !running || !singleKeys()) return;
      // An open dialog or menu has the first claim on it.
      if (document.querySelector('dialog[open], [role="menu"]')) return;
      actions.stop();
    };
    document.addEventListener('keydown', stopKey);
    return () => document.removeEventListener('keydown', stopKey);
  }, [actions, running]);

  // Only the page's shortcuts use it.
  useEffect(() => {
    const handle: ChatHandle = {
      focus: () => input.current?.focus(),
      step: (by) => list.current?.step(by),
    };
    if (typeof ref === 'function') ref(handle);
    else if (ref) ref.current = handle;
  }, [ref]);

  const empty = shown.length === 0 && pending.length === 0;
  const loading = open?.status === 'loading' && empty;

  return (
    <section aria-label={t.chat.label} className="flex min-h-0 flex-1 flex-col">
      {open?.status === 'error' && empty ? (
        <div id="messages" tabIndex={-1} className="measure flex flex-1 flex-col items-start justify-center gap-3">
          <p className="text-h3 font-semibold">{t.chat.loadFailed}</p>
          {open.error && (
            <div role="alert" className="text-control">
              <ErrorNote error={open.error} />
            </div>
          )}
          <Button onClick={() => actions.openConversation(open.id)}>{t.common.tryAgain}</Button>
        </div>
      ) : loading ? (
        waiting
      ) : empty ? (
        <EmptyState onPrompt={send} />
      ) : (
        <MessageList
          key={place.view}
          ref={list}
          conversation={conversation ?? blank}
          runs={shown}
          draft="live"
          pending={placed}
          connected={connected}
          stopping={stoppingRuns}
          idle={!running && !sending}
          loadOlder={loadOlder}
          onVersion={version}
          onEdit={edit}
          onAgain={again}
          onEditPending={editPending}
          onTask={onTask}
          onWhy={onWhy}
        />
      )}
      {open?.error && !empty && !isPassing(open.error.code) && (
        <div className="no-print measure shrink-0 pb-2">
          <div role="alert" className="rounded-sm border-s-2 border-danger bg-danger-soft px-3 py-2 text-control">
            <ErrorNote error={open.error}>
              <Button onClick={() => actions.reconnectNow()}>{t.common.tryAgain}</Button>
            </ErrorNote>
          </div>
        </div>
      )}
      <QueueList
        items={queue}
        onEdit={(item) => {
          takeBack(item.text);
          removeQueued(item);
        }}
        onRemove={removeQueued}
      />
      <MessageInput
        ref={input}
        draftKey={draftKey}
        maxChars={config?.limits.message_chars ?? 8000}
        model={config?.model}
        running={running || pending.some((i) => i.status === 'sending')}
        stopping={active !== undefined && (stoppingRuns.includes(active.run_id) || active.status === 'cancelling')}
        editing={editing !== undefined}
        changed={editing !== undefined && changesOf(editing).length > 0}
        onSend={send}
        onStop={() => actions.stop()}
        onFiles={() => actions.toast('info', t.chat.noFiles)}
        onCancelEdit={() => setEditing(undefined)}
        onEditLast={() => {
          const last = shown.at(-1);
          if (last) edit(last);
        }}
      />
    </section>
  );
}

const blank = { user_id: '', conversation_id: '', n: 0, runs: [] };

/** There is nothing to send files with; dropped anywhere, one would replace the page. */
function useNoFiles() {
  useEffect(() => {
    const over = (e: DragEvent) => {
      if (!e.dataTransfer?.types.includes('Files')) return;
      e.preventDefault();
      e.dataTransfer.dropEffect = 'none';
    };
    document.addEventListener('dragover', over);
    return () => document.removeEventListener('dragover', over);
  }, []);
}

/** Tells the server what has been seen, while the page can be seen. */
function useRead() {
  const id = useStore((s) => (s.open?.status === 'live' ? s.open.id : undefined));
  const n = useStore((s) => s.open?.state.n ?? 0);
  const over = useStore((s) => (s.open ? activeRun(s.open.state) === undefined : false));
  const actions = useActions();
  useEffect(() => {
    if (id === undefined || !over || n === 0) return;
    const read = () => {
      if (document.visibilityState === 'visible') actions.markRead(id, n);
    };
    read();
    document.addEventListener('visibilitychange', read);
    return () => document.removeEventListener('visibilitychange', read);
  }, [actions, id, n, over]);
}
