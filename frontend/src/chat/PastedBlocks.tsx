import { ClipboardList, Pencil, X } from 'lucide-react';

import { t } from '../i18n/t';
import { IconButton } from '../ui/Button';
import { size } from './length';

/** How much of a pasted text is shown of it. */
const preview = 160;

interface Props {
  blocks: readonly string[];
  /** What may stand in the box without slowing it down. */
  editable: number;
  onEdit: (index: number) => void;
  onRemove: (index: number) => void;
}

/** Long texts that were pasted: a line each instead of pages in the box. */
export function PastedBlocks({ blocks, editable, onEdit, onRemove }: Props) {
  if (blocks.length === 0) return null;
  return (
    <ul aria-label={t.chat.pasted} className="mb-1 space-y-1">
      {blocks.map((block, i) => (
        <li key={i} className="flex items-center gap-2 rounded-md border border-line bg-surface ps-3 pe-1 text-control">
          <ClipboardList size={16} aria-hidden className="shrink-0 text-muted" />
          <span className="shrink-0 py-1.5 tabular">{t.chat.pastedSize(size(block))}</span>
          <span dir="auto" className="min-w-0 flex-1 truncate text-muted">
            {block.trimStart().slice(0, preview)}
          </span>
          <span className="flex shrink-0">
            {block.length <= editable && (
              <IconButton label={t.chat.editPasted} onClick={() => onEdit(i)}>
                <Pencil size={16} aria-hidden />
              </IconButton>
            )}
            <IconButton label={t.chat.removePasted} onClick={() => onRemove(i)}>
              <X size={16} aria-hidden />
            </IconButton>
          </span>
        </li>
      ))}
    </ul>
  );
}
