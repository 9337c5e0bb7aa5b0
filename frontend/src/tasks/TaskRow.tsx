import { CalendarDays, Ellipsis, History, Pencil, Trash2 } from 'lucide-react';
import { memo, useState } from 'react';

import { useActions } from '../core/react';
import { t } from '../i18n/t';
import type { Task } from '../protocol/types';
import { cx } from '../ui/cx';
import { Menu, MenuItem, MenuLine } from '../ui/Menu';
import { later } from '../ui/later';
import { dueLabel } from './due';

const TaskEditor = later(
  () => import('./TaskEditor').then((m) => m.TaskEditor),
  ({ task }) => <p className="p-2 text-control text-muted">{task.title}</p>,
);

interface Props {
  task: Task;
  /** When it last changed while the page was watching. */
  changedAt?: number | undefined;
  today: Date;
  onHistory: (taskId: number) => void;
  onMessage: (conversationId: string, runId: string | undefined) => void;
}

/** For how long a change is worth a flash. */
const fresh = 2000;

export const TaskRow = memo(function TaskRow({ task, changedAt, today, onHistory, onMessage }: Props) {
  const actions = useActions();
  const [editing, setEditing] = useState(false);
  // What the reader has ticked, until the server says the same.
  const [wanted, setWanted] = useState<boolean>();
  const [mountedAt] = useState(() => Date.now());
  const done = wanted ?? task.status === 'completed';
  const due = dueLabel(task, today);
  const flash = changedAt !== undefined && changedAt > mountedAt - fresh;

  async function call(name: string) {
    const outcome = await actions.callTool(name, { task_id: task.task_id });
    if (outcome.error) actions.fail(outcome.error);
    return outcome.ok;
  }

  async function tick() {
    setWanted(!done);
    await call(done ? 'reopen_task' : 'complete_task');
    setWanted(undefined);
  }

  if (editing) {
    return (
      <li id={`task-${task.task_id}`} className="px-1 py-1">
        <TaskEditor
          task={task}
          onClose={() => setEditing(false)}
          onHistory={() => onHistory(task.task_id)}
          onMessage={onMessage}
        />
      </li>
    );
  }

  return (
    <li
      id={`task-${task.task_id}`}
      tabIndex={-1}
      // A new key starts the flash anew.
      key={flash ? changedAt : 'still'}
      className={cx(
        'group relative isolate flex items-start gap-1 rounded-sm pe-0.5 hover:bg-raised',
        flash && 'flash',
      )}
    >
      <label className="flex target shrink-0 cursor-pointer items-center justify-center">
        <input
          type="checkbox"
          checked={done}
          disabled={wanted !== undefined}
          onChange={() => void tick()}
          aria-label={done ? t.tasks.reopen(task.title) : t.tasks.complete(task.title)}
          className="size-4"
        />
      </label>
      <button
        type="button"
        onClick={() => setEditing(true)}
        title={t.tasks.editTitle(task.title)}
        className="min-w-0 flex-1 rounded-sm py-1.5 text-start text-control pointer-coarse:py-3"
      >
        <span className="me-1.5 text-meta tabular text-muted">#{task.task_id}</span>
        <span dir="auto" className={cx('break-words', done && 'text-muted line-through')}>
          {task.title}
        </span>
        {(due ?? task.description !== '') && (
          <span className="mt-0.5 flex flex-wrap items-center gap-x-2 text-meta text-muted">
            {due && !done && (
              <span
                className={cx('inline-flex items-center gap-1', due.overdue && 'text-danger', due.today && 'text-warn')}
              >
                <CalendarDays size={14} aria-hidden />
                {due.overdue ? `${due.text}, ${t.tasks.overdue}` : due.text}
              </span>
            )}
            {task.description !== '' && (
              <span dir="auto" className="line-clamp-2 min-w-0 break-words">
                {task.description}
              </span>
            )}
          </span>
        )}
      </button>
      <Menu
        label={t.tasks.menu(task.task_id, task.title)}
        trigger={<Ellipsis size={16} aria-hidden />}
        triggerClass="reveal"
      >
        <MenuItem
          moves
          icon={<Pencil size={16} />}
          onSelect={() => {
            setEditing(true);
          }}
        >
          {t.tasks.edit}
        </MenuItem>
        <MenuItem
          icon={<History size={16} />}
          onSelect={() => {
            onHistory(task.task_id);
          }}
        >
          {t.tasks.history}
        </MenuItem>
        <MenuLine />
        <MenuItem
          moves
          danger
          icon={<Trash2 size={16} />}
          onSelect={() => {
            void call('delete_task');
          }}
        >
          {t.tasks.delete}
        </MenuItem>
      </Menu>
    </li>
  );
});
