import { useState, type KeyboardEvent } from 'react';

import { useActions } from '../core/react';
import type { ErrorInfo } from '../core/state';
import { more } from '../i18n/more';
import { t } from '../i18n/t';
import type { Task } from '../protocol/types';
import { Button } from '../ui/Button';
import { ErrorNote } from '../ui/ErrorNote';
import { Provenance } from './Provenance';

const field = 'w-full rounded-sm border border-edge bg-bg px-2 py-1.5 text-control focus-visible:outline-offset-0';

interface Props {
  task: Task;
  onClose: () => void;
  onHistory: () => void;
  onMessage: (conversationId: string, runId: string | undefined) => void;
}

/** Edits a task in its row. What others change meanwhile is said, and never overwrites what is typed. */
export function TaskEditor({ task, onClose, onHistory, onMessage }: Props) {
  const actions = useActions();
  const [base] = useState(task);
  const [title, setTitle] = useState(task.title);
  const [dueOn, setDueOn] = useState(task.due_on ?? '');
  const [note, setNote] = useState(task.description);
  const [error, setError] = useState<ErrorInfo>();
  const [busy, setBusy] = useState(false);
  const changed = task.task_rev !== base.task_rev;

  async function save() {
    const args = {
      ...(title.trim() !== base.title && { title: title.trim() }),
      ...(note.trim() !== base.description && { description: note.trim() }),
      ...(dueOn !== (base.due_on ?? '') && { due_on: dueOn === '' ? null : dueOn }),
    };
    if (Object.keys(args).length === 0) {
      onClose();
      return;
    }
    setBusy(true);
    const outcome = await actions.callTool('update_task', { task_id: task.task_id, ...args });
    setBusy(false);
    if (outcome.ok) onClose();
    else setError(outcome.error);
  }

  function key(e: KeyboardEvent) {
    if (e.key === 'Escape') {
      e.stopPropagation();
      e.preventDefault();
      onClose();
    } else if (
      e.key === 'Enter' &&
      !e.nativeEvent.isComposing &&
      (!(e.target instanceof HTMLTextAreaElement) || e.ctrlKey || e.metaKey)
    ) {
      if (e.target instanceof HTMLButtonElement) return;
      e.preventDefault();
      void save();
    }
  }

  return (
    <form
      className="space-y-2 rounded-md bg-raised p-2"
      onKeyDown={key}
      onSubmit={(e) => {
        e.preventDefault();
        void save();
      }}
    >
      <input
        aria-label={more.task.title}
        value={title}
        onChange={(e) => setTitle(e.target.value)}
        maxLength={200}
        dir="auto"
        // The reader has just asked to edit this row.
        ref={(el) => {
          if (el && document.activeElement === document.body) el.select();
        }}
        autoFocus
        enterKeyHint="done"
        className={field}
      />
      <div className="flex items-center gap-2 text-meta text-muted">
        <label htmlFor={`due-${task.task_id}`} className="shrink-0">
          {more.task.due}
        </label>
        <input
          id={`due-${task.task_id}`}
          type="date"
          value={dueOn}
          onChange={(e) => setDueOn(e.target.value)}
          className={field}
        />
      </div>
      <textarea
        aria-label={more.task.note}
        placeholder={more.task.note}
        value={note}
        onChange={(e) => setNote(e.target.value)}
        rows={2}
        maxLength={2000}
        dir="auto"
        className={field}
      />
      {changed && (
        <p className="rounded-sm bg-warn-soft px-2 py-1 text-meta text-warn">
          {task.deleted ? more.task.conflictGone : more.task.conflict(task.title)}
        </p>
      )}
      {error !== undefined && (
        <div role="alert" className="text-meta text-danger">
          <ErrorNote error={error} kept={t.tasks.wordsKept} />
        </div>
      )}
      <Provenance task={task} onHistory={onHistory} onMessage={onMessage} />
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>{t.common.cancel}</Button>
        <Button type="submit" kind="primary" disabled={busy || title.trim() === ''}>
          {t.common.save}
        </Button>
      </div>
    </form>
  );
}
