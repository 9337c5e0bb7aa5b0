import { Archive, PanelLeftClose, Search, SquarePen, X } from 'lucide-react';
import { useMemo, useRef, useState, type ReactNode, type RefObject } from 'react';

import { useActions, useStore } from '../core/react';
import { t } from '../i18n/t';
import { Button, IconButton } from '../ui/Button';
import { later } from '../ui/later';
import { Mark } from '../ui/Mark';
import { Skeleton } from '../ui/Skeleton';
import { useNow } from '../ui/useNow';
import { ConversationItem } from './ConversationItem';
import { groupByDay } from './groups';

const SearchResults = later(() => import('./SearchResults').then((m) => m.SearchResults), <Skeleton rows={6} />);
const ArchivedList = later(() => import('./ArchivedList').then((m) => m.ArchivedList), <Skeleton rows={4} />);

interface Props {
  currentId: string | undefined;
  currentMessage?: string | undefined;
  onOpen: (id: string | undefined, message?: string) => void;
  onClose: () => void;
  sheet?: boolean;
  searchRef?: RefObject<HTMLInputElement | null>;
  /** What stands at the foot: the account. */
  children?: ReactNode;
}

export function Sidebar(props: Props) {
  const { currentId, currentMessage, onOpen, onClose, sheet = false, searchRef, children } = props;
  const { items, status, hasMore } = useStore((s) => s.conversations);
  const actions = useActions();
  const [text, setText] = useState('');
  const [archived, setArchived] = useState(false);
  const results = useRef<HTMLDivElement>(null);
  const own = useRef<HTMLInputElement>(null);
  const field = searchRef ?? own;
  const dayKey = new Date(useNow(60_000)).toDateString();
  const groups = useMemo(() => groupByDay(items, new Date(dayKey)), [items, dayKey]);

  const query = text.trim();

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
              if (e.nativeEvent.isComposing || text === '') return;
              if (e.key === 'Escape') {
                e.stopPropagation();
                setText('');
                return;
              }
              const first = results.current?.querySelector<HTMLElement>('a[href]');
              if (e.key === 'ArrowDown') first?.focus();
              else if (e.key === 'Enter') first?.click();
              else return;
              e.preventDefault();
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
      <div ref={results} className="min-h-0 flex-1 overflow-y-auto overscroll-contain px-2 pb-2">
        {query !== '' ? (
          <SearchResults text={query} currentId={currentId} currentMessage={currentMessage} onOpen={onOpen} />
        ) : archived ? (
          <ArchivedList currentId={currentId} onOpen={onOpen} onBack={() => setArchived(false)} />
        ) : items.length === 0 && (status === 'loading' || status === 'idle') ? (
          <Skeleton rows={6} />
        ) : items.length === 0 && status === 'error' ? (
          <p className="p-3 text-control text-muted">{t.sidebar.failed}</p>
        ) : items.length === 0 ? (
          <p className="p-3 text-control text-muted">{t.sidebar.none}</p>
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
        {query === '' && !archived && (
          <>
            {hasMore && (
              <Button kind="quiet" className="w-full" onClick={() => void actions.loadMoreConversations()}>
                {t.sidebar.more}
              </Button>
            )}
            {status === 'ready' && (
              <button
                type="button"
                onClick={() => setArchived(true)}
                className="flex target-row w-full items-center gap-2 rounded-sm px-3 text-meta text-muted hover:bg-raised"
              >
                <Archive size={14} aria-hidden />
                {t.sidebar.archived}
              </button>
            )}
          </>
        )}
      </div>
      {children}
    </nav>
  );
}
