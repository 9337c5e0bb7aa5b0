import { daysAgo, due, parseDate } from '../i18n/format';
import type { Task } from '../protocol/types';

export type Filter = 'all' | 'open' | 'completed';
export type Sort = 'due' | 'number' | 'changed';

/** How a due date reads, and whether it is today or over. */
export function dueLabel(task: Task, now: Date): { text: string; overdue: boolean; today: boolean } | undefined {
  const d = task.due_on === null ? undefined : parseDate(task.due_on);
  if (!d) return undefined;
  const ago = daysAgo(d, now);
  return { text: due(d, now), overdue: ago > 0 && task.status === 'open', today: ago === 0 };
}

/** The tasks that exist. */
export function living(byId: Readonly<Record<number, Task>>): Task[] {
  return Object.values(byId).filter((task) => !task.deleted);
}

export function counts(tasks: readonly Task[]): Record<Filter, number> {
  const open = tasks.filter((task) => task.status === 'open').length;
  return { all: tasks.length, open, completed: tasks.length - open };
}

/** The tasks of a filter in order: what is open before what is done. */
export function arrange(tasks: readonly Task[], filter: Filter, sort: Sort): Task[] {
  const rank = (task: Task) => (task.status === 'open' ? 0 : 1);
  const far = '9999-99-99';
  const compare: Readonly<Record<Sort, (a: Task, b: Task) => number>> = {
    due: (a, b) => (a.due_on ?? far).localeCompare(b.due_on ?? far) || a.task_id - b.task_id,
    number: (a, b) => a.task_id - b.task_id,
    changed: (a, b) => b.task_rev - a.task_rev,
  };
  return tasks
    .filter((task) => filter === 'all' || task.status === filter)
    .sort((a, b) =>
      rank(a) !== rank(b)
        ? rank(a) - rank(b)
        : rank(a) === 1 && sort === 'due'
          ? (b.completed_at ?? '').localeCompare(a.completed_at ?? '')
          : compare[sort](a, b),
    );
}
