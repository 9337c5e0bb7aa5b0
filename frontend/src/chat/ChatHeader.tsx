import {
  Archive,
  ArchiveRestore,
  ChevronDown,
  FileDown,
  History,
  Pencil,
  Pin,
  PinOff,
  Printer,
  Trash2,
} from 'lucide-react';
import { useState, type ReactNode } from 'react';

import { useActions, useStore, useStoreObject } from '../core/react';
import { t } from '../i18n/t';
import { Menu, MenuItem, MenuLine } from '../ui/Menu';
import { TitleField } from '../ui/TitleField';

interface Props {
  /** Buttons before the title and after it. */
  start?: ReactNode;
  end?: ReactNode;
  onRemoved: () => void;
  /** Shows how the conversation came about, from the menu; undefined where a button beside it does. */
  onReplay?: (() => void) | undefined;
}

/** Export and print: seldom wanted, and not part of what the first view waits for. */
const onPaper = () => import('./paper');

/** The title of what is on screen, and what can be done with it. */
export function ChatHeader({ start, end, onRemoved, onReplay }: Props) {
  // What is not there, or was deleted, has no menu.
  const id = useStore((s) =>
    s.open && s.open.status !== 'not-found' && s.open.state.deleted !== true ? s.open.id : undefined,
  );
  const missing = useStore((s) => s.open !== undefined) && id === undefined;
  const title = useStore((s) => s.open?.state.title ?? '');
  const pinned = useStore((s) => s.open?.state.pinned === true);
  const archived = useStore((s) => s.open?.state.archived === true);
  const actions = useActions();
  const store = useStoreObject();
  const [renaming, setRenaming] = useState<string>();
  const lost = () => void actions.toast('error', t.crash.missing);

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
          <MenuItem
            icon={archived ? <ArchiveRestore size={16} /> : <Archive size={16} />}
            onSelect={() => {
              void actions.archive(id, !archived);
            }}
          >
            {archived ? t.sidebar.unarchive : t.sidebar.archive}
          </MenuItem>
          <MenuLine />
          {onReplay && (
            <MenuItem moves icon={<History size={16} />} onSelect={onReplay}>
              {t.chat.replay}
            </MenuItem>
          )}
          <MenuItem
            icon={<FileDown size={16} />}
            onSelect={() => {
              void onPaper().then((paper) => paper.exportAs(store, 'markdown'), lost);
            }}
          >
            {t.sidebar.exportMarkdown}
          </MenuItem>
          <MenuItem
            icon={<FileDown size={16} />}
            onSelect={() => {
              void onPaper().then((paper) => paper.exportAs(store, 'jsonl'), lost);
            }}
          >
            {t.sidebar.exportJson}
          </MenuItem>
          <MenuItem
            icon={<Printer size={16} />}
            onSelect={() => {
              void onPaper().then((paper) => paper.print(store), lost);
            }}
          >
            {t.sidebar.print}
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
