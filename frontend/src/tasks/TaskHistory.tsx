import { Undo2 } from 'lucide-react';
import { useEffect, useState } from 'react';

import { errorInfo } from '../core/errors';
import { useActions } from '../core/react';
import type { ErrorInfo } from '../core/state';
import { clock, day } from '../i18n/format';
import { more } from '../i18n/more';
import { t } from '../i18n/t';
import type { Task, TaskChange } from '../protocol/types';
import { Button } from '../ui/Button';
import { ErrorNote } from '../ui/ErrorNote';
import { Skeleton } from '../ui/Skeleton';
import { dueLabel } from './due';

const words = more.history;

interface Props {
  taskId: number;
  /** The row as it is, if the page has it: one deleted before it came is not there. */
  task: Task | undefined;
  onMessage: (conversationId: string, runId: string | undefined) => void;
}

interface Page {
  changes: readonly TaskChange[];
  after: string | undefined;
}

/** Who changed a task, what and when; newest first. A deleted one can be brought back from here. */
export function TaskHistory({ taskId, task, onMessage }: Props) {
  const actions = useActions();
  const [page, setPage] = useState<Page>();
  const [error, setError] = useState<ErrorInfo>();
  const [busy, setBusy] = useState(false);
  const rev = task?.task_rev;

  useEffect(() => {
    let here = true;
    actions
      .taskHistory(taskId)
      .then((p) => here && setPage({ changes: p.data, after: p.hasMore ? p.after : undefined }))
      .catch((err: unknown) => here && setError(errorInfo(err)));
    return () => {
      here = false;
    };
  }, [actions, taskId, rev]);

  async function older(after: string) {
    setBusy(true);
    try {
      const p = await actions.taskHistory(taskId, after);
      setPage((now) => ({ changes: [...(now?.changes ?? []), ...p.data], after: p.hasMore ? p.after : undefined }));
    } catch (err) {
      setError(errorInfo(err));
    }
    setBusy(false);
  }

  async function restore() {
    setBusy(true);
    const outcome = await actions.callTool('restore_task', { task_id: taskId });
    setBusy(false);
    if (outcome.error) setError(outcome.error);
  }

  if (error) {
    return (
      <div role="alert" className="p-4 text-control">
        <ErrorNote error={error} />
      </div>
    );
  }
  if (!page) return <Skeleton rows={4} />;
  if (page.changes.length === 0) return <p className="p-4 text-control text-muted">{words.none}</p>;
  const now = new Date();
  const gone = task?.deleted ?? page.changes[0]?.task.deleted === true;
  return (
    <div className="overflow-y-auto p-4 text-control">
      {gone && (
        <div className="mb-4 flex flex-wrap items-center justify-between gap-2 rounded-sm bg-raised py-1 ps-3 pe-1">
          {words.gone}
          <Button disabled={busy} onClick={() => void restore()}>
            <Undo2 size={16} aria-hidden />
            {words.restore}
          </Button>
        </div>
      )}
      <ol>
        {page.changes.map((c) => {
          const at = new Date(c.at);
          const due = dueLabel(c.task, now);
          return (
            <li key={c.task_rev} className="relative border-s border-line ps-4 pb-4 last:pb-0">
              <span aria-hidden="true" className="absolute start-[-4.5px] top-1.5 size-2 rounded-full bg-edge" />
              <p>
                <span className="font-medium">{c.by === 'user' ? words.byUser : words.byModel}</span>{' '}
                {Object.hasOwn(words.row, c.tool) ? words.row[c.tool] : c.tool} <span dir="auto">“{c.task.title}”</span>
                {due && <span className="text-muted">, {t.tasks.dueOn(due.text)}</span>}
              </p>
              <p className="flex items-center gap-2 text-meta text-muted">
                <time dateTime={c.at} className="tabular">
                  {day(at, now)}, {clock(at)}
                </time>
                {c.by !== 'user' && (
                  <button
                    type="button"
                    className="rounded-sm text-accent underline-offset-2 hover:underline"
                    onClick={() => onMessage(c.conversation_id, c.run_id)}
                  >
                    {words.toConversation}
                  </button>
                )}
              </p>
            </li>
          );
        })}
      </ol>
      {page.after !== undefined && (
        <Button kind="quiet" className="mt-2" disabled={busy} onClick={() => page.after && void older(page.after)}>
          {words.older}
        </Button>
      )}
    </div>
  );
}
