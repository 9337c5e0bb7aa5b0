import type { Commit, Task } from '../protocol/types';
import { taskOf } from '../protocol/decode';
import { errorInfo } from './errors';
import type { Kernel } from './kernel';
import type { TasksState } from './state';

export const noTasks: TasksState = { byId: {}, status: 'loading', rev: 0, changed: {} };

/** The person's task list: read once, then kept by what tools return. */
export interface Tasks {
  refresh(): Promise<void>;
  /** A row that a tool wrote. The higher revision wins, whichever comes first. */
  upsert(task: Task): void;
  /** Somebody else's list comes next. */
  clear(): void;
  /** The rows that the tool results of a commit carry. */
  commit(c: Commit): void;
}

/** The rows that the tool results of a commit carry. */
export function rowsOf(c: Commit): Task[] {
  return c.events.flatMap((e) => (e.type === 'tool.returned' && e.ok ? (taskOf(e.result) ?? []) : []));
}

/**
 * Adds rows to a list; of two versions of a task the higher revision wins. listed is the revision
 * of a list that lacks what was deleted before; at, when the change is worth a flash.
 */
export function withRows(t: TasksState, rows: readonly Task[], o: { listed?: number; at?: number } = {}): TasksState {
  const { listed = 0, at } = o;
  const newer = rows.filter((row) => (t.byId[row.task_id]?.task_rev ?? listed) < row.task_rev);
  if (newer.length === 0) return t;
  const each = <T>(f: (row: Task) => T) => Object.fromEntries(newer.map((row) => [row.task_id, f(row)]));
  return {
    ...t,
    byId: { ...t.byId, ...each((row) => row) },
    rev: Math.max(t.rev, ...newer.map((row) => row.task_rev)),
    ...(at !== undefined && { changed: { ...t.changed, ...each(() => at) } }),
  };
}

/** More than anybody looks at in one list. */
const most = 2000;

export function createTasks(k: Kernel, userId: () => string | undefined): Tasks {
  let loading = 0;
  /** The revision of the last full list: what it lacks and is no newer was deleted. */
  let listed = 0;

  function put(tasks: readonly Task[], live: boolean): boolean {
    const t = k.state.tasks;
    const next = withRows(t, tasks, { listed, ...(live && { at: k.deps.now() }) });
    if (next === t) return false;
    k.merge({ tasks: next });
    return true;
  }

  return {
    async refresh() {
      const user = userId();
      if (user === undefined) return;
      const turn = ++loading;
      if (k.state.tasks.status === 'error') k.patch({ tasks: { ...k.state.tasks, status: 'loading' } });
      try {
        const rows: Task[] = [];
        let rev: number | undefined;
        for (let after: string | undefined, more = true; more && rows.length < most;) {
          const page = await k.deps.api.tasks(user, after === undefined ? {} : { after });
          rows.push(...page.data);
          rev ??= page.task_rev;
          after = page.after;
          more = page.has_more && after !== undefined;
        }
        if (turn !== loading || user !== userId()) return;
        listed = 0;
        put(rows, false);
        listed = rev ?? 0;
        const there = new Set(rows.map((r) => r.task_id));
        const { error: _, ...t } = k.state.tasks;
        const byId = Object.fromEntries(
          Object.entries(t.byId).filter(([, task]) => there.has(task.task_id) || task.task_rev > listed),
        );
        k.patch({ tasks: { ...t, byId, status: 'ready', rev: Math.max(t.rev, listed) } });
      } catch (err) {
        if (turn !== loading || user !== userId()) return;
        k.patch({ tasks: { ...k.state.tasks, status: 'error', error: errorInfo(err) } });
      }
    },

    clear() {
      loading++;
      listed = 0;
      k.merge({ tasks: noTasks });
    },

    upsert(task) {
      if (put([task], true)) k.soon();
    },

    commit(c) {
      const rows = rowsOf(c);
      if (rows.length > 0) put(rows, true);
    },
  };
}
