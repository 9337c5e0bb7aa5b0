import { Plus } from 'lucide-react';
import { useState } from 'react';

import { useActions } from '../core/react';
import type { ErrorInfo } from '../core/state';
import { t } from '../i18n/t';
import { Button } from '../ui/Button';
import { ErrorNote } from '../ui/ErrorNote';

/** One line that adds a task by hand, through the same tool that the assistant uses. */
export function AddTask() {
  const actions = useActions();
  const [title, setTitle] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ErrorInfo>();

  async function add() {
    const wanted = title.trim();
    if (wanted === '' || busy) return;
    setBusy(true);
    setError(undefined);
    const outcome = await actions.callTool('add_task', { title: wanted });
    setBusy(false);
    if (outcome.ok) setTitle((now) => (now.trim() === wanted ? '' : now));
    else setError(outcome.error);
  }

  return (
    <form
      className="p-2"
      onSubmit={(e) => {
        e.preventDefault();
        void add();
      }}
    >
      <div className="flex items-center gap-1 rounded-sm border border-edge bg-bg ps-2 focus-within:outline-2 focus-within:outline-accent">
        <Plus size={16} aria-hidden className="shrink-0 text-muted" />
        <input
          aria-label={t.tasks.add}
          placeholder={t.tasks.addPlaceholder}
          value={title}
          onChange={(e) => setTitle(e.target.value)}
          maxLength={200}
          dir="auto"
          enterKeyHint="done"
          className="target-row min-w-0 flex-1 bg-transparent px-1 text-control outline-none"
        />
        {title.trim() !== '' && (
          <Button type="submit" kind="quiet" disabled={busy} className="px-2">
            {t.tasks.addButton}
          </Button>
        )}
      </div>
      {error !== undefined && (
        <div role="alert" className="px-1 pt-1 text-meta text-danger">
          <ErrorNote error={error} kept={t.tasks.wordsKept} />
        </div>
      )}
    </form>
  );
}
