import { CircleAlert } from 'lucide-react';

import { useActions } from '../core/react';
import type { OutboxItem } from '../core/state';
import { t } from '../i18n/t';
import { Button } from '../ui/Button';
import { ErrorNote } from '../ui/ErrorNote';
import { Bubble } from './UserMessage';

interface Props {
  item: OutboxItem;
  onEdit: (item: OutboxItem) => void;
}

/** A message that the server does not have yet. */
export function PendingRow({ item, onEdit }: Props) {
  const actions = useActions();
  if (item.status !== 'failed') {
    return (
      <article data-message={item.id} aria-label={t.chat.you}>
        <div className="flex justify-end">
          <Bubble text={item.text} />
        </div>
        <p className="late mt-1 min-h-7 pe-1 text-end text-caption text-muted">
          {item.runId !== undefined ? t.chat.sent : item.status === 'waiting' ? t.chat.waiting : t.chat.sending}
        </p>
      </article>
    );
  }
  return (
    <article data-message={item.id} aria-label={t.chat.you}>
      <div className="flex justify-end">
        <Bubble text={item.text} />
      </div>
      <div role="alert" className="mt-1 flex flex-wrap items-center justify-end gap-x-2 gap-y-1 text-meta text-danger">
        <CircleAlert size={16} aria-hidden className="shrink-0" />
        <span className="font-medium">{t.chat.notSent}</span>
        {item.error && <ErrorNote error={item.error} kept={t.chat.keptHere} />}
        <span className="flex gap-1 text-text">
          <Button onClick={() => actions.retry(item.id)}>{t.common.retry}</Button>
          <Button onClick={() => onEdit(item)}>{t.common.edit}</Button>
          <Button onClick={() => actions.discard(item.id)}>{t.common.discard}</Button>
        </span>
      </div>
    </article>
  );
}
