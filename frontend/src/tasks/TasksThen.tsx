import { Circle, CircleCheck, CircleX } from 'lucide-react';
import { useMemo } from 'react';

import { r } from '../i18n/replay';
import type { Task } from '../protocol/types';
import { cx } from '../ui/cx';
import { useNow } from '../ui/useNow';
import { arrange, dueLabel, living } from './due';

interface Props {
  byId: Readonly<Record<number, Task>>;
  /** The tasks that the instant changed, with the tool that did. */
  touched: ReadonlyMap<number, { task: Task; tool: string }>;
  now: boolean;
}

/** The task list as it was: to look at, not to change. What the instant did stands out. */
export function TasksThen({ byId, touched, now }: Props) {
  const today = new Date(useNow(60_000));
  const rows = useMemo(() => {
    // What has just been deleted is shown once more, so that one sees it go.
    const gone = [...touched.values()].map((c) => c.task).filter((task) => task.deleted);
    return [...arrange(living(byId), 'all', 'number'), ...gone];
  }, [byId, touched]);

  if (rows.length === 0) {
    return <p className="px-4 py-6 text-center text-control text-muted">{now ? r.tasks.noneNow : r.tasks.none}</p>;
  }
  return (
    <ul className="space-y-px px-2 pb-2">
      {rows.map((task) => {
        const change = touched.get(task.task_id);
        const done = task.status === 'completed';
        const due = dueLabel(task, today);
        const Icon = task.deleted ? CircleX : done ? CircleCheck : Circle;
        return (
          <li
            key={task.task_id}
            id={`task-${task.task_id}`}
            tabIndex={-1}
            className={cx('flex items-start gap-2 rounded-sm px-2 py-1.5 text-control', change && 'bg-accent-soft')}
          >
            <Icon
              size={16}
              aria-hidden
              className={cx('mt-0.5 shrink-0', done && !task.deleted ? 'text-ok' : 'text-muted')}
            />
            <span className="min-w-0 flex-1">
              <span className="me-1.5 text-meta tabular text-muted">#{task.task_id}</span>
              <span dir="auto" className={cx('break-words', (done || task.deleted) && 'text-muted line-through')}>
                {task.title}
              </span>
              <span className="sr-only">, {done ? r.tasks.isDone : r.tasks.isOpen}</span>
              {due && !done && !task.deleted && <span className="ms-2 text-meta text-muted">{due.text}</span>}
            </span>
            {change && (
              <span className="shrink-0 text-meta font-medium text-accent">
                {Object.hasOwn(r.tasks.did, change.tool) ? r.tasks.did[change.tool] : change.tool}
              </span>
            )}
          </li>
        );
      })}
    </ul>
  );
}
