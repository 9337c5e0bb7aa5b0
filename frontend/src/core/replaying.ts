import { decodeCommits, decodeTaskChanges, decodeTasks } from '../protocol/decode';
import type { Task, TaskChanges } from '../protocol/types';
import { errorInfo } from './errors';
import { Recording } from './recording';
import type { Actions, ErrorInfo } from './state';

/** What a replay has read so far. */
export interface Replaying {
  status: 'loading' | 'ready' | 'error';
  error?: ErrorInfo;
  recording: Recording;
  /** Grows whenever the recording does. */
  version: number;
  /** Without the tasks' history the chat can still be played. */
  tasks: 'loading' | 'ready' | 'error';
  /** Set when the history is too long to be played whole. */
  cut: boolean;
}

export interface Replay {
  getState: () => Replaying;
  subscribe: (listener: () => void) => () => void;
  /** The conversation has a commit n: reads what is new. */
  follow(n: number): void;
  /** Tries again what failed. */
  retry(): void;
  close(): void;
}

/** More than this nobody plays; a history as long is exported instead. */
const mostCommits = 50_000;
const mostChanges = 50_000;
const patience = 1000;

/** Reads a conversation's whole history, and goes on as it grows. */
export function createReplay(source: Pick<Actions, 'read'>, userId: string, id: string): Replay {
  const recording = new Recording(userId, id);
  const listeners = new Set<() => void>();
  let state: Replaying = { status: 'loading', recording, version: 0, tasks: 'loading', cut: false };
  let wanted = 0;
  let again: ReturnType<typeof setTimeout> | undefined;
  let closed = false;
  const gone = () => closed;
  let reading = false;
  let after: number | undefined;
  let behind = false;

  function patch(p: Partial<Replaying>) {
    if (closed) return;
    const { error: _, ...rest } = state;
    state = { ...rest, ...p, version: state.version + 1 };
    for (const f of [...listeners]) f();
  }

  async function readCommits() {
    for (let more = true; more && recording.n < mostCommits && !closed;) {
      const page = await source.read(decodeCommits, ['conversations', id, 'events'], { after: recording.n });
      const before = recording.n;
      for (const c of page.data) recording.add(c);
      more = page.has_more && recording.n > before;
      if (more) patch({});
    }
    patch({ status: 'ready', cut: recording.n >= mostCommits });
  }

  /** The tasks as they were when the conversation began, then what changed while it went on. */
  async function readTasks() {
    const first = recording.commits[0];
    if (!first) return;
    if (after === undefined) {
      const page = await readChanges({ since: first.time });
      const base = (page.data[0]?.task_rev ?? page.after + 1) - 1;
      const rows: Task[] = [];
      for (let from: string | undefined, more = base > 0; more && rows.length < mostChanges && !closed;) {
        const list = await source.read(decodeTasks, ['tasks'], { status: 'all', as_of: base, after: from, limit: 500 });
        rows.push(...list.data);
        from = list.after;
        more = list.has_more && from !== undefined;
      }
      recording.setBase(rows);
      take(page);
    }
    while (behind && !late() && recording.changes.length < mostChanges && !closed) {
      take(await readChanges({ after: after ?? 0 }));
    }
  }

  const readChanges = (q: { since: string } | { after: number }) =>
    source.read(decodeTaskChanges, ['tasks', 'history'], { ...q, limit: 500 });

  function take(page: TaskChanges) {
    recording.addChanges(page.data);
    after = page.after;
    behind = page.has_more;
  }

  /** Whether the changes read so far go beyond the last commit: what comes after belongs to now. */
  function late(): boolean {
    const last = recording.changes.at(-1);
    return last !== undefined && Date.parse(last.at) > recording.timeOf(recording.n);
  }

  async function advance() {
    if (reading || gone()) return;
    reading = true;
    clearTimeout(again);
    const before = recording.n;
    try {
      try {
        await readCommits();
      } catch (err) {
        patch({ status: 'error', error: errorInfo(err) });
        return;
      }
      if (gone()) return;
      try {
        await readTasks();
        patch({ tasks: 'ready' });
      } catch {
        patch({ tasks: 'error' });
      }
    } finally {
      reading = false;
    }
    if (recording.n >= wanted || state.cut || gone()) return;
    behind = true;
    // A server that lags behind what it told others is asked again, but not at once.
    if (recording.n > before) void advance();
    else again = setTimeout(() => void advance(), patience);
  }

  void advance();
  return {
    getState: () => state,
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    follow(n) {
      if (n <= wanted) return;
      wanted = n;
      if (state.status !== 'ready' || n <= recording.n || state.cut) return;
      behind = true;
      void advance();
    },
    retry() {
      patch({ ...(state.status === 'error' && { status: 'loading' }), tasks: 'loading' });
      void advance();
    },
    close() {
      closed = true;
      clearTimeout(again);
      listeners.clear();
    },
  };
}
