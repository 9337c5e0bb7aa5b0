import { useEffect, useState } from 'react';

import { useActions } from '../core/react';
import { clock, day } from '../i18n/format';
import { t } from '../i18n/t';
import type { Task, TaskChange } from '../protocol/types';
import { Skeleton } from '../ui/Skeleton';
import { dueLabel } from './due';

/** Who changed a task, what and when; newest first. */
export function TaskHistory({ task, onOpen }: { task: Task; onOpen: (conversationId: string) => void }) {
  const actions = useActions();
  const [changes, setChanges] = useState<readonly TaskChange[]>();
  const [failed, setFailed] = useState(false);

  useEffect(() => {
    let here = true;
    actions
      .taskHistory(task.task_id)
      .then((page) => here && setChanges(page.data))
      .catch(() => here && setFailed(true));
    return () => {
      here = false;
    };
  }, [actions, task.task_id, task.task_rev]);

  if (failed) return <p className="p-4 text-control text-danger">{t.tasks.historyFailed}</p>;
  if (!changes) return <Skeleton rows={4} />;
  if (changes.length === 0) return <p className="p-4 text-control text-muted">{t.tasks.noHistory}</p>;
  const now = new Date();
  return (
    <ol className="overflow-y-auto p-4 text-control">
      {changes.map((c) => {
        const at = new Date(c.at);
        const due = dueLabel(c.task, now);
        return (
          <li key={c.task_rev} className="relative border-s border-line ps-4 pb-4 last:pb-0">
            <span aria-hidden="true" className="absolute start-[-4.5px] top-1.5 size-2 rounded-full bg-edge" />
            <p>
              <span className="font-medium">{c.by === 'user' ? t.tasks.byUser : t.tasks.byModel}</span>{' '}
              {Object.hasOwn(t.tasks.historyRow, c.tool) ? t.tasks.historyRow[c.tool] : c.tool}{' '}
              <span dir="auto">“{c.task.title}”</span>
              {due && <span className="text-muted">, {t.tasks.dueOn(due.text)}</span>}
            </p>
            <p className="flex items-center gap-2 text-meta text-muted">
              <time dateTime={c.at} className="tabular">
                {day(at, now)}, {clock(at)}
              </time>
              {c.by !== 'user' && (
                <button
                  type="button"
                  className="text-accent underline-offset-2 hover:underline"
                  onClick={() => onOpen(c.conversation_id)}
                >
                  {t.tasks.toConversation}
                </button>
              )}
            </p>
          </li>
        );
      })}
    </ol>
  );
}
