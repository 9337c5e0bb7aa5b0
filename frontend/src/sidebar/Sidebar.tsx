import { PanelLeftClose, Search, SquarePen, X } from 'lucide-react';
import { useEffect, useMemo, useRef, useState, type ReactNode, type RefObject } from 'react';

import { useActions, useStore } from '../core/react';
import { t } from '../i18n/t';
import { Button, IconButton } from '../ui/Button';
import { Mark } from '../ui/Mark';
import { Skeleton } from '../ui/Skeleton';
import { useNow } from '../ui/useNow';
import { ConversationItem } from './ConversationItem';
import { groupByDay } from './groups';

interface Props {
  currentId: string | undefined;
  onOpen: (id: string | undefined) => void;
  onClose: () => void;
  sheet?: boolean;
  searchRef?: RefObject<HTMLInputElement | null>;
  /** What stands at the foot: the account. */
  children?: ReactNode;
}

/** How long the reader must pause before a search starts. */
const pause = 200;

export function Sidebar({ currentId, onOpen, onClose, sheet = false, searchRef, children }: Props) {
  const { items, status, hasMore, query } = useStore((s) => s.conversations);
  const actions = useActions();
  const [text, setText] = useState(query);
  const own = useRef<HTMLInputElement>(null);
  const field = searchRef ?? own;
  const dayKey = new Date(useNow(60_000)).toDateString();
  const groups = useMemo(() => groupByDay(items, new Date(dayKey)), [items, dayKey]);

  useEffect(() => {
    if (text.trim() === query) return;
    const timer = setTimeout(() => actions.search(text.trim()), pause);
    return () => clearTimeout(timer);
  }, [actions, text, query]);

  return (
    <nav aria-label={t.sidebar.label} className="flex min-h-0 flex-1 flex-col">
      <div className="flex h-13 shrink-0 items-center justify-between ps-4 pe-2">
        <span className="flex items-center gap-2 text-control font-semibold">
          <Mark />
          {t.app.name}
        </span>
        <IconButton label={t.sidebar.collapse} onClick={onClose}>
          {sheet ? <X size={20} aria-hidden /> : <PanelLeftClose size={16} aria-hidden className="rtl:-scale-x-100" />}
        </IconButton>
      </div>
      <div className="shrink-0 space-y-2 px-3 pb-2">
        <Button className="w-full justify-start" onClick={() => onOpen(undefined)}>
          <SquarePen size={16} aria-hidden className="text-accent" />
          {t.sidebar.newChat}
        </Button>
        <div className="flex items-center rounded-sm bg-raised ps-2.5 focus-within:outline-2 focus-within:outline-accent">
          <Search size={16} aria-hidden className="shrink-0 text-muted" />
          <input
            ref={field}
            type="search"
            aria-label={t.sidebar.search}
            placeholder={t.sidebar.searchPlaceholder}
            value={text}
            onChange={(e) => setText(e.target.value)}
            onKeyDown={(e) => {
              if (e.key !== 'Escape' || text === '') return;
              e.stopPropagation();
              setText('');
            }}
            dir="auto"
            className="target-row min-w-0 flex-1 bg-transparent px-2 text-control outline-none [&::-webkit-search-cancel-button]:hidden"
          />
          {text !== '' && (
            <IconButton label={t.sidebar.clearSearch} onClick={() => setText('')}>
              <X size={16} aria-hidden />
            </IconButton>
          )}
        </div>
      </div>
      <div className="min-h-0 flex-1 overflow-y-auto overscroll-contain px-2 pb-2">
        {items.length === 0 && (status === 'loading' || status === 'idle') ? (
          <Skeleton rows={6} />
        ) : items.length === 0 && status === 'error' ? (
          <p className="p-3 text-control text-muted">{t.sidebar.failed}</p>
        ) : items.length === 0 ? (
          <p className="p-3 text-control text-muted">{query === '' ? t.sidebar.none : t.sidebar.noHits(query)}</p>
        ) : (
          groups.map((group) => (
            <section key={group.name} aria-label={group.name} className="mb-2">
              <h2 className="px-3 pt-2 pb-1 text-caption font-medium text-muted">{group.name}</h2>
              <ul className="space-y-px">
                {group.items.map((item) => (
                  <ConversationItem
                    key={item.conversation_id}
                    item={item}
                    current={item.conversation_id === currentId}
                    query={query}
                    onOpen={onOpen}
                    onRemoved={(id) => {
                      if (id === currentId) onOpen(undefined);
                    }}
                  />
                ))}
              </ul>
            </section>
          ))
        )}
        {hasMore && (
          <Button kind="quiet" className="w-full" onClick={() => void actions.loadMoreConversations()}>
            {t.sidebar.more}
          </Button>
        )}
      </div>
      {children}
    </nav>
  );
}
