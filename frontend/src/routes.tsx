import { History, ListTodo, Menu as MenuIcon, PanelLeftOpen, PanelRightOpen, SquarePen } from 'lucide-react';
import { useCallback, useEffect, useRef, useState } from 'react';
import { useLocation, useRoute, useSearch } from 'wouter';

import { ChatHeader } from './chat/ChatHeader';
import { ChatInterface, MessageList, type ChatHandle } from './chat/ChatInterface';
import { activeRun } from './core/path';
import { shallow, useActions, useStore, useStoreObject } from './core/react';
import { hasUnsent } from './core/selectors';
import { number } from './i18n/format';
import { t } from './i18n/t';
import type { Run } from './protocol/types';
import { ConnectionBanner, VersionBanner } from './ui/Banner';
import { IconButton } from './ui/Button';
import { Dialog } from './ui/Dialog';
import { ErrorBoundary } from './ui/ErrorBoundary';
import { later } from './ui/later';
import { loadChoice, saveChoice } from './ui/prefs';
import { Skeleton } from './ui/Skeleton';
import { medium, useMedia, wide } from './ui/useMedia';

const Sidebar = later(() => import('./sidebar/Sidebar').then((m) => m.Sidebar), <Skeleton rows={6} />);
const Account = later(() => import('./auth/Account').then((m) => m.Account));
const TaskPanel = later(() => import('./tasks/TaskPanel').then((m) => m.TaskPanel), <Skeleton rows={6} />);
const NotFound = later(() => import('./ui/NotFound').then((m) => m.NotFound));
const Shortcuts = later(() => import('./ui/Shortcuts').then((m) => m.Shortcuts));
const ReplayPage = later(
  () => import('./replayPage').then((m) => m.ReplayPage),
  <Skeleton rows={8} className="measure pt-16" />,
);

/** Fetches what is drawn of the page first. */
export function preload(): void {
  for (const part of [MessageList, Sidebar, Account, TaskPanel]) part.preload();
}

/** The address of a conversation, of one of its branches, of one of its messages. */
export function conversationPath(id: string | undefined, tip?: string, message?: string): string {
  if (id === undefined) return '/';
  const query = new URLSearchParams();
  if (tip !== undefined) query.set('b', tip);
  if (message !== undefined) query.set('m', message);
  return `/c/${encodeURIComponent(id)}${query.size > 0 ? `?${query}` : ''}`;
}

/** The address of an instant in a conversation's replay; without n, of its end. */
export function replayPath(id: string, n?: number): string {
  return `/c/${encodeURIComponent(id)}/replay${n === undefined ? '' : `?n=${n}`}`;
}

type Layout = 'wide' | 'medium' | 'narrow';

function useLayout(): Layout {
  const isWide = useMedia(wide);
  const isMedium = useMedia(medium);
  return isWide ? 'wide' : isMedium ? 'medium' : 'narrow';
}

/** A panel that is a column where there is room and lies over the page where not. */
function usePanel(name: string, beside: boolean) {
  const [column, setColumn] = useState(() => loadChoice(name) !== 'hidden');
  const [sheet, setSheet] = useState(false);
  const set = useCallback(
    (open: boolean) => {
      if (!beside) {
        setSheet(open);
        return;
      }
      setColumn(open);
      saveChoice(name, open ? 'shown' : 'hidden');
    },
    [beside, name],
  );
  return { open: beside ? column : sheet, set };
}

/** The page of somebody who is signed in: conversations, chat, tasks. */
export function Shell() {
  const store = useStoreObject();
  const actions = useActions();
  const [location, navigate] = useLocation();
  const [isConversation, params] = useRoute('/c/:id');
  const [isReplay, replayOf] = useRoute('/c/:id/replay');
  const query = new URLSearchParams(useSearch());
  const tip = query.get('b') ?? undefined;
  const target = query.get('m') ?? undefined;
  const instant = query.get('n');
  const [visit, setVisit] = useState(0);
  const id = isConversation ? params.id : isReplay ? replayOf.id : undefined;
  const known = isConversation || isReplay || location === '/';

  const layout = useLayout();
  const narrow = layout === 'narrow';
  const sidebar = usePanel('sidebar', !narrow);
  const tasks = usePanel('tasks', layout === 'wide');
  const [shortcuts, setShortcuts] = useState(false);
  const [task, setTask] = useState<{ id: number; at: number; history: boolean }>();
  const chat = useRef<ChatHandle>(null);
  const search = useRef<HTMLInputElement>(null);

  if (task && !tasks.open) setTask(undefined);
  const missing = useStore((s) => s.open?.status === 'not-found');
  const deleted = useStore((s) => s.open?.state.deleted === true);
  const found = known && !missing && !deleted;
  const replaying = isReplay && !missing && !deleted;
  const taskCount = useStore((s) => {
    let n = 0;
    for (const row of Object.values(s.tasks.byId)) if (!row.deleted && row.status === 'open') n++;
    return n;
  });

  useEffect(() => actions.openConversation(id), [actions, id]);
  useEffect(() => store.onConversation((created) => navigate(conversationPath(created))), [store, navigate]);

  const setSidebar = sidebar.set;
  const setTasks = tasks.set;
  const go = useCallback(
    (to: string | undefined, message?: string) => {
      const path = conversationPath(to, undefined, message);
      navigate(path, { replace: path === window.location.pathname + window.location.search });
      setVisit((n) => n + 1);
      if (narrow) setSidebar(false);
      if (to === undefined) chat.current?.focus();
    },
    [navigate, narrow, setSidebar],
  );
  const onTip = useCallback(
    (runId: string | undefined) => navigate(conversationPath(id, runId), { replace: true }),
    [navigate, id],
  );
  const onBranch = useCallback(
    (runId: string) => navigate(conversationPath(id, runId, target), { replace: true }),
    [navigate, id, target],
  );
  const replay = useCallback(
    (n?: number) => {
      if (id !== undefined) navigate(replayPath(id, n));
    },
    [navigate, id],
  );
  const onWhy = useCallback((run: Run) => replay(run.n), [replay]);
  const onInstant = useCallback(
    (n: number | undefined, replace: boolean) => navigate(replayPath(id ?? '', n), { replace }),
    [navigate, id],
  );
  const showTask = useCallback(
    (taskId: number, history = false) => {
      setTasks(true);
      setTask({ id: taskId, at: Date.now(), history });
    },
    [setTasks],
  );
  const showMessage = useCallback(
    (to: string, runId: string | undefined) => {
      if (layout !== 'wide') setTasks(false);
      go(to, runId);
    },
    [go, layout, setTasks],
  );

  useEffect(() => {
    const key = (e: KeyboardEvent) => {
      if (e.isComposing) return;
      const mod = e.ctrlKey || e.metaKey;
      const name = e.key.toLowerCase();
      if (mod && !e.shiftKey && !e.altKey && name === 'k') {
        setSidebar(true);
        requestAnimationFrame(() => search.current?.focus());
      } else if (mod && e.shiftKey && name === 'o') go(undefined);
      else if (mod && !e.shiftKey && name === '.') setTasks(!tasks.open);
      else if (mod && name === '/') setShortcuts(true);
      else if (e.altKey && !mod && (e.key === 'ArrowUp' || e.key === 'ArrowDown')) {
        chat.current?.step(e.key === 'ArrowUp' ? -1 : 1);
      } else return;
      e.preventDefault();
    };
    document.addEventListener('keydown', key);
    return () => document.removeEventListener('keydown', key);
  }, [go, setSidebar, setTasks, tasks.open]);

  const side = (
    <ErrorBoundary text={t.crash.panel}>
      <Sidebar
        currentId={id}
        currentMessage={target}
        onOpen={go}
        onClose={() => sidebar.set(false)}
        sheet={narrow}
        searchRef={search}
      >
        <Account onShortcuts={() => setShortcuts(true)} />
      </Sidebar>
    </ErrorBoundary>
  );
  const panel = (
    <ErrorBoundary text={t.crash.panel}>
      <TaskPanel onClose={() => tasks.set(false)} sheet={layout !== 'wide'} show={task} onMessage={showMessage} />
    </ErrorBoundary>
  );

  const start =
    !sidebar.open || narrow ? (
      <>
        <IconButton label={narrow ? t.sidebar.open : t.sidebar.expand} onClick={() => sidebar.set(true)}>
          {narrow ? (
            <MenuIcon size={20} aria-hidden />
          ) : (
            <PanelLeftOpen size={16} aria-hidden className="rtl:-scale-x-100" />
          )}
        </IconButton>
        {!narrow && (
          <IconButton label={t.sidebar.newChat} onClick={() => go(undefined)}>
            <SquarePen size={16} aria-hidden />
          </IconButton>
        )}
      </>
    ) : undefined;

  return (
    <div className="app flex h-dvh pl-[env(safe-area-inset-left)] pr-[env(safe-area-inset-right)]">
      {found && (
        <>
          <SkipLink to={replaying ? 'player' : 'composer'}>
            {replaying ? t.app.skipToPlayer : t.app.skipToComposer}
          </SkipLink>
          <SkipLink to="messages">{t.app.skipToMessages}</SkipLink>
        </>
      )}
      {layout === 'wide' && tasks.open && !replaying && <SkipLink to="tasks">{t.app.skipToTasks}</SkipLink>}
      {narrow ? (
        <Dialog place="start" label={t.sidebar.label} open={sidebar.open} onClose={() => sidebar.set(false)}>
          {side}
        </Dialog>
      ) : (
        sidebar.open && (
          <div className="no-print flex w-66 shrink-0 flex-col border-e border-line bg-surface">{side}</div>
        )
      )}
      <main className="flex min-w-0 flex-1 flex-col">
        {!replaying && (
          <ChatHeader
            onRemoved={() => go(undefined)}
            // On a phone the title needs the room.
            onReplay={narrow ? () => replay() : undefined}
            start={start}
            end={
              <>
                {!narrow && id !== undefined && !missing && (
                  <IconButton label={t.chat.replay} onClick={() => replay()}>
                    <History size={16} aria-hidden />
                  </IconButton>
                )}
                {narrow && id !== undefined && (
                  <IconButton label={t.sidebar.newChat} onClick={() => go(undefined)}>
                    <SquarePen size={20} aria-hidden />
                  </IconButton>
                )}
                {(layout !== 'wide' || !tasks.open) && (
                  <button
                    type="button"
                    aria-label={t.tasks.open}
                    title={t.tasks.open}
                    onClick={() => tasks.set(true)}
                    className="flex target-row items-center gap-2 rounded-sm px-2.5 text-control hover:bg-raised"
                  >
                    {layout === 'wide' ? (
                      <PanelRightOpen size={16} aria-hidden className="text-muted rtl:-scale-x-100" />
                    ) : (
                      <ListTodo size={narrow ? 20 : 16} aria-hidden className="text-muted" />
                    )}
                    {!narrow && t.tasks.label}
                    <span className="pill rounded-full bg-raised px-1.5 text-meta tabular text-muted">
                      {number(taskCount)}
                    </span>
                  </button>
                )}
              </>
            }
          />
        )}
        <Banners />
        <ErrorBoundary text={t.crash.panel} resetKey={id}>
          {found && replaying ? (
            <ReplayPage
              id={replayOf.id}
              n={instant}
              start={start}
              onN={onInstant}
              linkTo={(n) => window.location.origin + replayPath(replayOf.id, n)}
              onClose={() => go(id)}
              onOther={go}
            />
          ) : found ? (
            <ChatInterface
              ref={chat}
              tip={tip}
              onTip={onTip}
              target={target}
              visit={visit}
              onBranch={onBranch}
              onTask={showTask}
              onWhy={onWhy}
            />
          ) : deleted && id !== undefined ? (
            <NotFound
              title={t.notFound.deletedTitle}
              text={t.notFound.deleted}
              onBack={() => go(undefined)}
              onRestore={() => void actions.restore(id)}
            />
          ) : (
            <NotFound text={known ? t.notFound.conversation : t.notFound.page} onBack={() => go(undefined)} />
          )}
        </ErrorBoundary>
      </main>
      {replaying ? null : layout === 'wide' ? (
        tasks.open && (
          <aside
            aria-label={t.tasks.label}
            className="no-print flex w-80 shrink-0 flex-col border-s border-line bg-surface"
          >
            {panel}
          </aside>
        )
      ) : (
        <Dialog
          place={narrow ? 'bottom' : 'end'}
          label={t.tasks.label}
          open={tasks.open}
          onClose={() => tasks.set(false)}
        >
          {panel}
        </Dialog>
      )}
      <Dialog open={shortcuts} onClose={() => setShortcuts(false)} label={t.keys.title} heading>
        <Shortcuts />
      </Dialog>
    </div>
  );
}

function SkipLink({ to, children }: { to: string; children: string }) {
  return (
    <a
      href={`#${to}`}
      className="no-print skip-link rounded-sm bg-accent px-3 py-2 text-control font-medium text-on-accent"
      onClick={(e) => {
        e.preventDefault();
        document.getElementById(to)?.focus();
      }}
    >
      {children}
    </a>
  );
}

function Banners() {
  const { online, retryAt, waiting, newVersion } = useStore(
    (s) => ({
      // Who has to sign in again reads so in the dialog.
      online: s.connection.status === 'online' || s.session.status !== 'signed-in',
      retryAt: s.connection.retryAt,
      waiting: hasUnsent(s) ? s.outbox.filter((i) => i.runId === undefined).length : 0,
      // Never in the middle of an answer.
      newVersion: s.newVersion !== undefined && !(s.open && activeRun(s.open.state)),
    }),
    shallow,
  );
  const actions = useActions();
  return (
    <>
      <ConnectionBanner online={online} retryAt={retryAt} waiting={waiting} onRetry={() => actions.reconnectNow()} />
      {newVersion && <VersionBanner onReload={() => location.reload()} />}
    </>
  );
}
