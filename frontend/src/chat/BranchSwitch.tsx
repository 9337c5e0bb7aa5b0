import { ChevronLeft, ChevronRight } from 'lucide-react';

import { t } from '../i18n/t';
import { IconButton } from '../ui/Button';

interface Props {
  /** Counted from 0. */
  index: number;
  count: number;
  onGo: (index: number) => void;
}

/** Goes through the versions of a message. */
export function BranchSwitch({ index, count, onGo }: Props) {
  return (
    <span role="group" aria-label={t.chat.versions} className="inline-flex items-center text-meta text-muted">
      <span className="pe-1 text-caption">{t.chat.branchNote}</span>
      <IconButton label={t.chat.previousVersion} disabled={index === 0} onClick={() => onGo(index - 1)}>
        <ChevronLeft size={16} aria-hidden className="rtl:-scale-x-100" />
      </IconButton>
      <span className="tabular">{t.chat.version(index + 1, count)}</span>
      <IconButton label={t.chat.nextVersion} disabled={index === count - 1} onClick={() => onGo(index + 1)}>
        <ChevronRight size={16} aria-hidden className="rtl:-scale-x-100" />
      </IconButton>
    </span>
  );
}
