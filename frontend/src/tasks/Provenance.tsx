import { useEffect, useState } from 'react';

import { useActions } from '../core/react';
import { clock, day } from '../i18n/format';
import { more } from '../i18n/more';
import type { Task, TaskChange } from '../protocol/types';

const words = more.provenance;

interface Props {
  task: Task;
  onHistory: () => void;
  onMessage: (conversationId: string, runId: string | undefined) => void;
}

/** Who changed a task last, and the way to the message that did it. */
export function Provenance({ task, onHistory, onMessage }: Props) {
  const actions = useActions();
  const [change, setChange] = useState<TaskChange | 'none'>();

  useEffect(() => {
    let here = true;
    actions
      .taskHistory(task.task_id)
      .then((p) => here && setChange(p.data[0] ?? 'none'))
      .catch(() => here && setChange('none'));
    return () => {
      here = false;
    };
  }, [actions, task.task_id, task.task_rev]);

  if (!change) return <p className="min-h-8" aria-hidden="true" />;
  const link = 'target-row rounded-sm text-accent underline-offset-2 hover:underline';
  if (change === 'none') return <p className="py-1.5 text-meta text-muted">{words.unknown}</p>;
  const at = new Date(change.at);
  const when = `${day(at, new Date())}, ${clock(at)}`;
  const who = change.by === 'user' ? words.you : words.parley;
  return (
    <div className="flex min-h-8 flex-wrap items-center gap-x-3 text-meta text-muted">
      <span>{change.tool === 'add_task' ? words.added(who, when) : words.changed(who, when)}</span>
      {change.by !== 'user' && (
        <button type="button" className={link} onClick={() => onMessage(change.conversation_id, change.run_id)}>
          {words.show}
        </button>
      )}
      <button type="button" className={link} onClick={onHistory}>
        {words.history}
      </button>
    </div>
  );
}
