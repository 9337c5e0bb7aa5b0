import { Trash2, Undo2 } from 'lucide-react';
import { useEffect } from 'react';

import { useActions } from '../core/react';
import { t } from '../i18n/t';
import type { Task } from '../protocol/types';
import { useAnnounce } from '../ui/announce';
import { Button } from '../ui/Button';

/** Stands where a task was, whoever has deleted it. */
export function DeletedRow({ task }: { task: Task }) {
  const actions = useActions();
  const announce = useAnnounce();

  useEffect(() => announce(t.tasks.deleted(task.title)), [announce, task.title]);

  async function restore() {
    const outcome = await actions.callTool('restore_task', { task_id: task.task_id });
    if (outcome.error) actions.fail(outcome.error);
  }

  return (
    <li className="appear flex items-center gap-2 rounded-sm bg-raised ps-2.5 text-control text-muted">
      <Trash2 size={16} aria-hidden className="shrink-0" />
      <span dir="auto" className="min-w-0 flex-1 truncate">
        {t.tasks.deleted(task.title)}
      </span>
      <Button
        kind="quiet"
        onClick={() => void restore()}
        // Whoever has just deleted it by keyboard would be nowhere otherwise.
        ref={(el) => {
          if (document.activeElement === document.body) el?.focus();
        }}
      >
        <Undo2 size={16} aria-hidden />
        {t.common.undo}
      </Button>
    </li>
  );
}
