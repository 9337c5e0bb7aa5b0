import { ChevronDown, Pencil, Pin, PinOff, Trash2 } from 'lucide-react';
import { useState, type ReactNode } from 'react';

import { useActions, useStore } from '../core/react';
import { t } from '../i18n/t';
import { Menu, MenuItem, MenuLine } from '../ui/Menu';
import { TitleField } from '../ui/TitleField';

interface Props {
  /** Buttons before the title and after it. */
  start?: ReactNode;
  end?: ReactNode;
  onRemoved: () => void;
}

/** The title of what is on screen, and what can be done with it. */
export function ChatHeader({ start, end, onRemoved }: Props) {
  const id = useStore((s) => (s.open && s.open.status !== 'not-found' ? s.open.id : undefined));
  const missing = useStore((s) => s.open?.status === 'not-found');
  const title = useStore((s) => s.open?.state.title ?? '');
  const pinned = useStore((s) => s.open?.state.pinned === true);
  const actions = useActions();
  const [renaming, setRenaming] = useState<string>();

  return (
    <header className="no-print flex h-13 shrink-0 items-center gap-1 border-b border-line px-2">
      {start}
      {id !== undefined && renaming === id ? (
        <TitleField
          title={title}
          onDone={(next) => {
            setRenaming(undefined);
            if (next !== undefined && next !== title) void actions.rename(id, next);
          }}
        />
      ) : (
        <h1 dir="auto" className="min-w-0 truncate ps-2 text-control font-semibold">
          {title !== '' ? title : missing ? t.app.name : id === undefined ? t.sidebar.newChat : t.sidebar.untitled}
        </h1>
      )}
      {id !== undefined && renaming !== id && (
        <Menu
          label={t.sidebar.menu(title === '' ? t.sidebar.untitled : title)}
          trigger={<ChevronDown size={16} aria-hidden />}
        >
          <MenuItem
            moves
            icon={<Pencil size={16} />}
            onSelect={() => {
              setRenaming(id);
            }}
          >
            {t.sidebar.rename}
          </MenuItem>
          <MenuItem
            icon={pinned ? <PinOff size={16} /> : <Pin size={16} />}
            onSelect={() => {
              void actions.pin(id, !pinned);
            }}
          >
            {pinned ? t.sidebar.unpin : t.sidebar.pin}
          </MenuItem>
          <MenuLine />
          <MenuItem
            moves
            danger
            icon={<Trash2 size={16} />}
            onSelect={() => {
              onRemoved();
              void actions.remove(id);
            }}
          >
            {t.sidebar.delete}
          </MenuItem>
        </Menu>
      )}
      <span className="ms-auto flex shrink-0 items-center gap-1">{end}</span>
    </header>
  );
}
