import { Clock, Pencil, X } from 'lucide-react';

import { t } from '../i18n/t';
import { IconButton } from '../ui/Button';
import { usePast } from '../ui/past';

export interface QueuedMessage {
  id: string;
  text: string;
}

interface Props {
  items: readonly QueuedMessage[];
  onEdit: (item: QueuedMessage) => void;
  onRemove: (item: QueuedMessage) => void;
}

/** Messages that wait for the answer before them. */
export function QueueList({ items, onEdit, onRemove }: Props) {
  const past = usePast() !== undefined;
  if (items.length === 0) return null;
  return (
    <ul aria-label={t.chat.queue} className="no-print measure shrink-0 space-y-1 pb-2">
      {items.map((item) => (
        <li
          key={item.id}
          className="flex items-center gap-2 rounded-md border border-line bg-surface ps-3 pe-1 text-control"
        >
          <Clock size={16} aria-hidden className="shrink-0 text-muted" />
          <span className="sr-only">{t.chat.queued}: </span>
          <span dir="auto" className="min-w-0 flex-1 truncate py-1.5" title={item.text}>
            {item.text}
          </span>
          <span className="hidden shrink-0 text-meta text-muted md:inline">{t.chat.queuedHint}</span>
          {!past && (
            <span className="flex shrink-0">
              <IconButton label={t.chat.editQueued} onClick={() => onEdit(item)}>
                <Pencil size={16} aria-hidden />
              </IconButton>
              <IconButton label={t.chat.removeQueued} onClick={() => onRemove(item)}>
                <X size={16} aria-hidden />
              </IconButton>
            </span>
          )}
        </li>
      ))}
    </ul>
  );
}
