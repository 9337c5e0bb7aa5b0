import { Archive, Ellipsis, LoaderCircle, Pencil, Pin, PinOff, Trash2 } from 'lucide-react';
import { memo, useState } from 'react';

import { useActions } from '../core/react';
import { isUnread } from '../core/selectors';
import { t } from '../i18n/t';
import type { Summary } from '../protocol/types';
import { cx } from '../ui/cx';
import { Menu, MenuItem, MenuLine } from '../ui/Menu';
import { TitleField } from '../ui/TitleField';
import { within } from '../ui/within';

interface Props {
  item: Summary;
  current: boolean;
  onOpen: (id: string) => void;
  onRemoved: (id: string) => void;
}

export const ConversationItem = memo(function ConversationItem({ item, current, onOpen, onRemoved }: Props) {
  const actions = useActions();
  const [renaming, setRenaming] = useState(false);
  const id = item.conversation_id;
  const title = item.title === '' ? t.sidebar.untitled : item.title;
  const busy = item.status === 'in_progress' || item.status === 'queued' || item.status === 'cancelling';
  const unread = !current && !busy && isUnread(item);

  if (renaming) {
    return (
      <li>
        <TitleField
          title={item.title}
          onDone={(next) => {
            setRenaming(false);
            if (next !== undefined && next !== item.title) void actions.rename(id, next);
          }}
        />
      </li>
    );
  }

  return (
    <li className="group relative">
      <a
        href={`/c/${id}`}
        aria-current={current ? 'page' : undefined}
        onClick={within(() => onOpen(id))}
        className={cx(
          'flex target-row items-center gap-2 rounded-sm py-1.5 ps-3 pe-10 text-control',
          current ? 'selected bg-accent-soft' : 'hover:bg-raised',
          unread && 'font-semibold',
        )}
      >
        <span dir="auto" className="min-w-0 flex-1 truncate">
          {title}
        </span>
        {busy && (
          <span className="shrink-0 text-muted" title={t.sidebar.replying}>
            <LoaderCircle size={14} aria-hidden className="spin" />
            <span className="sr-only">, {t.sidebar.replying}</span>
          </span>
        )}
        {unread && (
          <span className="shrink-0" title={t.sidebar.unread}>
            <span aria-hidden="true" className="dot block size-2 rounded-full bg-accent" />
            <span className="sr-only">, {t.sidebar.unread}</span>
          </span>
        )}
      </a>
      <span className="reveal absolute end-1 top-1/2 -translate-y-1/2">
        <Menu label={t.sidebar.menu(title)} trigger={<Ellipsis size={16} aria-hidden />}>
          <MenuItem
            moves
            icon={<Pencil size={16} />}
            onSelect={() => {
              setRenaming(true);
            }}
          >
            {t.sidebar.rename}
          </MenuItem>
          <MenuItem
            icon={item.pinned === true ? <PinOff size={16} /> : <Pin size={16} />}
            onSelect={() => {
              void actions.pin(id, item.pinned !== true);
            }}
          >
            {item.pinned === true ? t.sidebar.unpin : t.sidebar.pin}
          </MenuItem>
          <MenuItem
            moves
            icon={<Archive size={16} />}
            onSelect={() => {
              void actions.archive(id, true);
            }}
          >
            {t.sidebar.archive}
          </MenuItem>
          <MenuLine />
          <MenuItem
            moves
            danger
            icon={<Trash2 size={16} />}
            onSelect={() => {
              onRemoved(id);
              void actions.remove(id);
            }}
          >
            {t.sidebar.delete}
          </MenuItem>
        </Menu>
      </span>
    </li>
  );
});
