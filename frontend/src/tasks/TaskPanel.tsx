import { ArrowDownWideNarrow, Check, PanelRightClose, X } from 'lucide-react';
import { lazy, Suspense, useMemo, useState } from 'react';

import { useActions, useStore } from '../core/react';
import { number } from '../i18n/format';
import { t } from '../i18n/t';
import type { Task } from '../protocol/types';
import { Button, IconButton } from '../ui/Button';
import { cx } from '../ui/cx';
import { Dialog } from '../ui/Dialog';
import { Menu, MenuItem, MenuLabel } from '../ui/Menu';
import { loadChoice, saveChoice } from '../ui/prefs';
import { Skeleton } from '../ui/Skeleton';
import { useNow } from '../ui/useNow';
import { AddTask } from './AddTask';
import { arrange, counts, living, type Filter, type Sort } from './due';
import { TaskRow } from './TaskRow';

const TaskHistory = lazy(() => import('./TaskHistory').then((module) => ({ default: module.TaskHistory })));

const filters: readonly Filter[] = ['all', 'open', 'completed'];
const sorts: readonly Sort[] = ['due', 'number', 'changed'];
const filterNames: Readonly<Record<Filter, string>> = {
  all: t.tasks.all,
  open: t.tasks.opened,
  completed: t.tasks.completed,
};

interface Props {
  onClose: () => void;
  /** Whether it lies over the page instead of beside it. */
  sheet?: boolean;
  onOpenConversation: (id: string) => void;
}

/** The person's tasks, live; everything done here goes through the same tools. */
export function TaskPanel({ onClose, sheet = false, onOpenConversation }: Props) {
  const { byId, status, changed } = useStore((s) => s.tasks);
  const actions = useActions();
  const [filter, setFilter] = useState<Filter>('all');
  const [sort, setSort] = useState<Sort>(() => sorts.find((s) => s === loadChoice('tasks.sort')) ?? 'due');
  const [historyOf, setHistoryOf] = useState<Task>();
  const now = useNow(60_000);
  const tasks = useMemo(() => living(byId), [byId]);
  const count = useMemo(() => counts(tasks), [tasks]);
  const rows = useMemo(() => arrange(tasks, filter, sort), [tasks, filter, sort]);
  // Equal all day, so that rows need not be drawn again each minute.
  const dayKey = new Date(now).toDateString();
  const today = useMemo(() => new Date(dayKey), [dayKey]);

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
      <div role="group" aria-label={t.tasks.filter} className="mx-3 flex shrink-0 gap-0.5 rounded-md bg-raised p-0.5">
        {filters.map((f) => (
          <button
            key={f}
            type="button"
            aria-pressed={f === filter}
            onClick={() => setFilter(f)}
            className={cx(
              'flex min-h-7 flex-1 items-center justify-center gap-1.5 rounded-sm text-meta pointer-coarse:min-h-11',
              f === filter
                ? 'selected bg-bg font-medium shadow-[0_1px_2px_var(--shade)]'
                : 'text-muted hover:text-text',
            )}
          >
            {filterNames[f]}
            <span className="tabular text-muted">{number(count[f])}</span>
          </button>
        ))}
      </div>
      <div className="min-h-0 flex-1 overflow-y-auto overscroll-contain px-2 pt-2">
        {status === 'loading' && tasks.length === 0 ? (
          <Skeleton rows={5} />
        ) : status === 'error' && tasks.length === 0 ? (
          <div className="space-y-2 p-4 text-control">
            <p>{t.tasks.failed}</p>
            <Button onClick={() => void actions.refreshTasks()}>{t.common.retry}</Button>
          </div>
        ) : rows.length === 0 ? (
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
                changedAt={changed[task.task_id]}
                today={today}
                onHistory={setHistoryOf}
              />
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
        label={historyOf ? t.tasks.historyOf(historyOf.task_id) : t.tasks.history}
        heading
      >
        {historyOf && (
          <Suspense fallback={<Skeleton rows={4} />}>
            <TaskHistory
              task={byId[historyOf.task_id] ?? historyOf}
              onOpen={(id) => {
                setHistoryOf(undefined);
                onOpenConversation(id);
              }}
            />
          </Suspense>
        )}
      </Dialog>
    </section>
  );
}
