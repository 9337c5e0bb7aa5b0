import { ChevronLeft, ChevronRight } from 'lucide-react';

import { t } from '../i18n/t';
import { IconButton } from '../ui/Button';
import { Menu, MenuItem, MenuLabel } from '../ui/Menu';
import type { Changes } from './answer';

interface Props {
  /** Counted from 0. */
  index: number;
  count: number;
  /** What the versions have done, which no switch takes back. */
  changes: Changes;
  onGo: (index: number) => void;
  onTask: (id: number, history: boolean) => void;
}

/** Goes through the versions of a message. */
export function BranchSwitch({ index, count, changes, onGo, onTask }: Props) {
  return (
    <span
      role="group"
      aria-label={t.chat.versions}
      className="inline-flex flex-wrap items-center justify-end text-meta text-muted"
    >
      {changes.any && <span className="pe-1 text-caption">{t.chat.branchNote}</span>}
      {changes.tasks.length > 0 && (
        <Menu
          label={t.chat.branchHistory}
          trigger={t.chat.branchHistory}
          triggerClass="px-2 text-caption underline underline-offset-3"
        >
          <MenuLabel>{t.chat.branchTasks}</MenuLabel>
          {changes.tasks.map(({ task_id, title }) => (
            <MenuItem key={task_id} moves onSelect={() => onTask(task_id, true)}>
              <span className="me-1.5 tabular text-muted">#{task_id}</span>
              <span dir="auto" className="max-w-72 truncate">
                {title}
              </span>
            </MenuItem>
          ))}
        </Menu>
      )}
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
