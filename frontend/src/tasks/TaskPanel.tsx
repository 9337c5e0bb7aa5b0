import { ArrowDownWideNarrow, Check, PanelRightClose, X } from 'lucide-react';
import { useCallback, useEffect, useMemo, useState } from 'react';

import { useActions, useStore } from '../core/react';
import { number } from '../i18n/format';
import { t } from '../i18n/t';
import { Button, IconButton } from '../ui/Button';
import { Dialog } from '../ui/Dialog';
import { ErrorNote } from '../ui/ErrorNote';
import { Filters } from '../ui/Filters';
import { Menu, MenuItem, MenuLabel } from '../ui/Menu';
import { later } from '../ui/later';
import { loadChoice, saveChoice } from '../ui/prefs';
import { Skeleton } from '../ui/Skeleton';
import { useNow } from '../ui/useNow';
import { AddTask } from './AddTask';
import { arrange, counts, living, type Filter, type Sort } from './due';
import { TaskRow } from './TaskRow';

const DeletedRow = later(() => import('./DeletedRow').then((m) => m.DeletedRow), null, 'quiet');
const TaskHistory = later(() => import('./TaskHistory').then((m) => m.TaskHistory), <Skeleton rows={4} />);

const filters: readonly Filter[] = ['all', 'open', 'completed'];
/** For how long a deletion can be undone in its place; afterwards the history of the task brings it back. */
const undoFor = 10_000;

const sorts: readonly Sort[] = ['due', 'number', 'changed'];
const filterName = (f: Filter): string => t.tasks[f === 'open' ? 'opened' : f];

interface Props {
  onClose: () => void;
  /** Whether it lies over the page instead of beside it. */
  sheet?: boolean;
  /** The task to bring into view, and since when it is asked for. */
  show?: { id: number; at: number; history?: boolean } | undefined;
  /** Shows a conversation, at the answer of a run if that is known. */
  onMessage: (conversationId: string, runId: string | undefined) => void;
}

/** The person's tasks, live; everything done here goes through the same tools. */
export function TaskPanel({ onClose, sheet = false, show, onMessage }: Props) {
  const { byId, status, error, changed } = useStore((s) => s.tasks);
  const actions = useActions();
  const [filter, setFilter] = useState<Filter>('all');
  const [sort, setSort] = useState<Sort>(() => sorts.find((s) => s === loadChoice('tasks.sort')) ?? 'due');
  const [historyOf, setHistoryOf] = useState<number>();
  const [shown, setShown] = useState<typeof show>();
  const gone = useMemo(
    () => Object.values(byId).filter((task) => task.deleted && changed[task.task_id] !== undefined),
    [byId, changed],
  );
  const now = useNow(gone.length > 0 ? 1000 : 60_000);
  const deleted = gone.filter((task) => (changed[task.task_id] ?? 0) > now - undoFor);
  const tasks = useMemo(() => living(byId), [byId]);
  const count = useMemo(() => counts(tasks), [tasks]);
  const rows = useMemo(() => arrange(tasks, filter, sort), [tasks, filter, sort]);
  // Equal all day, so that rows need not be drawn again each minute.
  const dayKey = new Date(now).toDateString();
  const today = useMemo(() => new Date(dayKey), [dayKey]);

  if (show !== shown) {
    setShown(show);
    const task = show && byId[show.id];
    if (task && !task.deleted) {
      if (filter !== 'all' && filter !== task.status) setFilter('all');
    }
    // What is deleted has no row, only a history.
    if (show?.history === true || !task || task.deleted) setHistoryOf(show?.id);
  }
  useEffect(() => {
    const row = show && document.getElementById(`task-${show.id}`);
    row?.scrollIntoView({ block: 'center' });
    row?.focus({ preventScroll: true });
  }, [show]);

  const toMessage = useCallback(
    (conversationId: string, runId: string | undefined) => {
      setHistoryOf(undefined);
      onMessage(conversationId, runId);
    },
    [onMessage],
  );

  return (
    <section id="tasks" tabIndex={-1} aria-label={t.tasks.label} className="flex min-h-0 flex-1 flex-col outline-none">
      <div className="flex h-13 shrink-0 items-center gap-2 ps-4 pe-2">
        <h2 className="text-control font-semibold">{t.tasks.label}</h2>
        <span className="text-meta tabular text-muted">
          {status === 'loading' ? '' : t.tasks.openCount(count.open)}
        </span>
        <span className="ms-auto flex">
          <Menu label={t.tasks.sort} trigger={<ArrowDownWideNarrow size={16} aria-hidden />}>
            <MenuLabel>{t.tasks.sort}</MenuLabel>
            {sorts.map((s) => (
              <MenuItem
                key={s}
                checked={s === sort}
                icon={s === sort && <Check size={16} />}
                onSelect={() => {
                  setSort(s);
                  saveChoice('tasks.sort', s);
                }}
              >
                {t.tasks.sorts[s]}
              </MenuItem>
            ))}
          </Menu>
          <IconButton label={t.tasks.hide} onClick={onClose}>
            {sheet ? (
              <X size={20} aria-hidden />
            ) : (
              <PanelRightClose size={16} aria-hidden className="rtl:-scale-x-100" />
            )}
          </IconButton>
        </span>
      </div>
      <Filters
        label={t.tasks.filter}
        filters={filters}
        chosen={filter}
        onChoose={setFilter}
        className="mx-3"
        choice="flex-1 gap-1.5 text-meta"
      >
        {(f) => (
          <>
            {filterName(f)}
            <span className="tabular text-muted">{number(count[f])}</span>
          </>
        )}
      </Filters>
      <div className="min-h-0 flex-1 overflow-y-auto overscroll-contain px-2 pt-2">
        {status === 'loading' && tasks.length === 0 ? (
          <Skeleton rows={5} />
        ) : status === 'error' && tasks.length === 0 ? (
          <div className="space-y-2 p-4 text-control">
            <p>{t.tasks.failed}</p>
            {error && <ErrorNote error={error} />}
            <Button onClick={() => void actions.refreshTasks()}>{t.common.retry}</Button>
          </div>
        ) : rows.length + deleted.length === 0 ? (
          <div className="px-4 py-10 text-center text-control text-muted">
            <p>{tasks.length === 0 ? t.tasks.none : filter === 'completed' ? t.tasks.noneDone : t.tasks.noneOpen}</p>
            {tasks.length === 0 && <p className="mt-1 text-meta">{t.tasks.noneHint}</p>}
          </div>
        ) : (
          <ul className="space-y-px pb-2">
            {rows.map((task) => (
              <TaskRow
                key={task.task_id}
                task={task}
                changedAt={
                  show?.id === task.task_id ? Math.max(show.at, changed[task.task_id] ?? 0) : changed[task.task_id]
                }
                today={today}
                onHistory={setHistoryOf}
                onMessage={toMessage}
              />
            ))}
            {deleted.map((task) => (
              <DeletedRow key={`${task.task_id}.${task.task_rev}`} task={task} />
            ))}
          </ul>
        )}
      </div>
      <div className="shrink-0 border-t border-line pb-[env(safe-area-inset-bottom)]">
        <AddTask />
      </div>
      <Dialog
        open={historyOf !== undefined}
        onClose={() => setHistoryOf(undefined)}
        label={historyOf === undefined ? t.tasks.history : t.tasks.historyOf(historyOf)}
        heading
      >
        {historyOf !== undefined && <TaskHistory taskId={historyOf} task={byId[historyOf]} onMessage={toMessage} />}
      </Dialog>
    </section>
  );
}
