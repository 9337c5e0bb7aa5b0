import { ArrowLeft, Lock } from 'lucide-react';
import { useCallback, useEffect, useId, useMemo, useRef, useState, useSyncExternalStore, type ReactNode } from 'react';

import { useActions, useStore } from '../core/react';
import { nextCall, stay, type Entry, type Speed, type Touched } from '../core/recording';
import { createReplay, type Replay } from '../core/replaying';
import type { LiveDraft, TasksState } from '../core/state';
import { clockSeconds, fullDay } from '../i18n/precise';
import { r } from '../i18n/replay';
import { t } from '../i18n/t';
import type { Conversation } from '../protocol/types';
import { useAnnounce } from '../ui/announce';
import { Button, IconButton } from '../ui/Button';
import { CopyButton } from '../ui/CopyButton';
import { cx } from '../ui/cx';
import { ErrorNote } from '../ui/ErrorNote';
import { Past } from '../ui/past';
import { Skeleton } from '../ui/Skeleton';
import { useMedia, wide } from '../ui/useMedia';
import { EventDetail, type Raw } from './EventDetail';
import { EventList } from './EventList';
import { ExportMenu } from './ExportMenu';
import { Player, type Move } from './Player';
import { useMoveKeys } from './useMoveKeys';
import { usePosition, type How } from './usePosition';
import { what } from './words';

/** What there was at an instant. */
export interface Instant {
  conversation: Conversation;
  /** Of now, while an answer is being written. */
  draft: LiveDraft | undefined;
  tasks: TasksState;
  /** What the instant changed. */
  touched: ReadonlyMap<number, Touched>;
  now: boolean;
}

interface Props {
  id: string;
  /** The instant in the address; undefined = now. */
  n: number | undefined;
  onN: (n: number | undefined, how: How) => void;
  /** The address of an instant, to give to others. */
  linkTo: (n: number | undefined) => string;
  onClose: () => void;
  onOther: (conversationId: string) => void;
  /** Buttons before the title. */
  start?: ReactNode;
  /** Draw the messages and the tasks of an instant, as the live page does. */
  chat: (instant: Instant, onTask: (id: number) => void) => ReactNode;
  tasks: (instant: Instant) => ReactNode;
}

/** A conversation's history, to be played. Nothing in it can be changed. */
export function ReplayView(props: Props) {
  const userId = useStore((s) => s.session.userId);
  // Another person's history, or another conversation's, is another replay.
  return userId === undefined ? null : <Opened key={`${userId} ${props.id}`} userId={userId} {...props} />;
}

function useReplay(userId: string, id: string): Replay {
  const actions = useActions();
  const [replay, setReplay] = useState<Replay>(() => createReplay(actions, userId, id));
  const closed = useRef(false);
  useEffect(() => {
    // In development React leaves and comes back at once.
    if (closed.current) setReplay(createReplay(actions, userId, id));
    closed.current = false;
    return () => {
      closed.current = true;
    };
  }, [actions, userId, id]);
  useEffect(() => () => replay.close(), [replay]);
  const n = useStore((s) => (s.open?.id === id ? s.open.state.n : 0));
  useEffect(() => replay.follow(n), [replay, n]);
  return replay;
}

function Opened({ userId, id, n, onN, linkTo, onClose, onOther, start, chat, tasks }: Props & { userId: string }) {
  const replay = useReplay(userId, id);
  const {
    status,
    error,
    recording,
    version,
    tasks: taskStatus,
    cut,
  } = useSyncExternalStore(replay.subscribe, replay.getState);
  const live = useStore((s) => (s.open?.id === id ? s.open : undefined));
  const liveTasks = useStore((s) => s.tasks);
  const announce = useAnnounce();
  const [wanted, go] = usePosition(n, onN);
  const [picked, setPicked] = useState<string>();
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState<Speed>(1);
  const [raw, setRaw] = useState<Raw>('none');
  const [tab, setTab] = useState<'events' | 'tasks'>('events');
  const beside = useMedia(wide);
  const tabs = useId();

  const last = recording.n;
  const at = wanted === undefined ? undefined : Math.max(1, Math.min(wanted, Math.max(1, last)));
  const position = at ?? last + 1;
  const ready = status === 'ready' && last > 0;

  // The recording is one object that grows.
  /* eslint-disable react-hooks/exhaustive-deps */
  const kinds = useMemo(() => recording.kinds(), [recording, version]);
  const entries = useMemo(() => recording.entries(), [recording, version]);
  const shown = useMemo((): Instant => {
    const now = at === undefined;
    return {
      conversation: recording.chatAt(at ?? last),
      // Text that is being written belongs to the newest commit.
      draft: now && live?.state.n === last ? live.draft : undefined,
      tasks: now ? liveTasks : recording.tasksAt(at),
      touched: now ? new Map() : recording.touchedAt(at),
      now,
    };
  }, [recording, version, at, last, at === undefined ? live : undefined, at === undefined ? liveTasks : undefined]);
  /* eslint-enable react-hooks/exhaustive-deps */
  const current = useMemo(() => principal(entries, at, kinds, picked), [entries, at, kinds, picked]);

  const title = shown.conversation.title ?? '';
  const name = title === '' ? t.sidebar.untitled : title;
  useEffect(() => {
    document.title = r.pageTitle(name);
  }, [name]);

  const when = new Date(at === undefined ? NaN : recording.timeOf(at));
  const text =
    at === undefined ? r.player.atNow : r.player.at(at, last, clockSeconds(when), current ? what(current) : '');

  const seek = useCallback(
    (to: number, how: How) => {
      setPlaying(false);
      setPicked(undefined);
      go(to > last ? undefined : Math.max(1, to), how);
    },
    [go, last],
  );

  const targets: Readonly<Record<Move, number | undefined>> = {
    first: position > 1 ? 1 : undefined,
    previous: position > 1 ? position - 1 : undefined,
    next: position <= last ? position + 1 : undefined,
    now: position <= last ? last + 1 : undefined,
    previousCall: nextCall(kinds, position, -1),
    nextCall: nextCall(kinds, position, 1),
  };
  const move = (m: Move) => {
    const to = targets[m];
    if (!ready || to === undefined) return;
    seek(to, m === 'next' || m === 'previous' ? 'step' : 'jump');
  };
  const play = () => {
    if (!ready) return;
    setPicked(undefined);
    // From the end, the history is played again.
    if (!playing && position > last) go(1, 'step');
    setPlaying(!playing);
  };
  useMoveKeys({ move, play });

  useEffect(() => {
    if (!playing || !ready || position > last) return;
    const until = position < last ? recording.timeOf(position + 1) : NaN;
    const timer = setTimeout(
      () => {
        go(position < last ? position + 1 : undefined, 'step');
        if (position === last) setPlaying(false);
      },
      stay(recording.timeOf(position), until, speed),
    );
    return () => clearTimeout(timer);
  }, [playing, ready, position, last, speed, recording, go]);

  // Whoever does not see the page hears where it stands, unless the slider says so itself.
  const heard = useRef<string>(undefined);
  useEffect(() => {
    if (!ready || playing || heard.current === text) return;
    if (heard.current !== undefined && document.activeElement?.id !== 'timeline') announce(text);
    heard.current = text;
  }, [ready, playing, text, announce]);

  const pick = (e: Entry) => {
    setPlaying(false);
    setPicked(e.key);
    go(e.n, 'jump');
  };

  const showTask = useCallback((taskId: number) => {
    setTab('tasks');
    // The tab may have to open first.
    requestAnimationFrame(() => {
      const row = document.getElementById(`task-${taskId}`);
      row?.scrollIntoView({ block: 'nearest' });
      row?.focus({ preventScroll: true });
    });
  }, []);

  const eventsPanel = (
    <>
      <EventList entries={entries} n={at} current={current} onPick={pick} />
      {current && (
        <EventDetail
          entry={current}
          index={entries.indexOf(current) + 1}
          count={entries.length}
          raw={raw}
          onRaw={setRaw}
          onOther={onOther}
        />
      )}
    </>
  );
  const tasksPanel =
    taskStatus === 'error' && !shown.now ? (
      <div className="space-y-2 p-4 text-control">
        <p>{r.tasks.failed}</p>
        <Button onClick={() => replay.retry()}>{t.common.retry}</Button>
      </div>
    ) : taskStatus === 'loading' && !shown.now ? (
      <Skeleton rows={3} />
    ) : (
      tasks(shown)
    );
  const openCount = Object.values(shown.tasks.byId).filter((task) => !task.deleted && task.status === 'open').length;
  const tasksTitle = shown.now ? r.tasks.now : r.tasks.then;

  return (
    <Past value={at === undefined ? 'now' : recording.timeOf(at)}>
      <header className="no-print flex h-13 shrink-0 items-center gap-1 border-b border-line px-2">
        {start}
        <IconButton label={r.back} onClick={onClose}>
          <ArrowLeft size={20} aria-hidden className="rtl:-scale-x-100" />
        </IconButton>
        <h1 dir="auto" className="min-w-0 truncate ps-1 text-control font-semibold">
          {r.title(name)}
        </h1>
        <span className="ms-auto flex shrink-0 items-center">
          <CopyButton label={r.copyLink} text={() => linkTo(at)} />
          <ExportMenu id={id} at={at} />
        </span>
      </header>
      <p className="flex shrink-0 flex-wrap items-center gap-x-2 bg-warn-soft px-4 py-1 text-meta">
        <Lock size={16} aria-hidden className="shrink-0 text-warn" />
        <strong className="font-semibold text-warn">{r.readOnly}</strong>
        <span className="tabular">{at === undefined ? r.asItIs : r.asItWas(clockSeconds(when), fullDay(when))}</span>
        {cut && <span>{r.cut(last)}</span>}
      </p>
      {status === 'error' ? (
        <div className="measure flex min-h-0 flex-1 flex-col items-start justify-center gap-3">
          <p className="text-h3 font-semibold">{r.failed}</p>
          {error && (
            <div role="alert" className="text-control">
              <ErrorNote error={error} />
            </div>
          )}
          <Button onClick={() => replay.retry()}>{t.common.tryAgain}</Button>
        </div>
      ) : !ready ? (
        <div className="min-h-0 flex-1">
          <Skeleton rows={8} className="measure pt-8" />
          {last > 0 && <p className="measure text-meta tabular text-muted">{r.reading(last, live?.state.n ?? 0)}</p>}
        </div>
      ) : (
        <div className="flex min-h-0 flex-1">
          <div className="flex min-w-0 flex-1 flex-col">
            <div className="flex min-h-0 flex-1 flex-col overflow-y-auto">
              <div className="flex min-h-48 flex-1 flex-col">{chat(shown, showTask)}</div>
              {!beside && (
                <div className="flex h-[42%] min-h-64 shrink-0 flex-col border-t border-line bg-surface">
                  <Tabs
                    id={tabs}
                    tab={tab}
                    onTab={setTab}
                    names={{ events: r.events.label, tasks: `${tasksTitle} · ${r.tasks.open(openCount)}` }}
                  />
                  <div
                    role="tabpanel"
                    id={`${tabs}-panel`}
                    aria-labelledby={`${tabs}-${tab}`}
                    className="flex min-h-0 flex-1 flex-col overflow-y-auto"
                  >
                    {tab === 'events' ? eventsPanel : tasksPanel}
                  </div>
                </div>
              )}
            </div>
            <Player
              kinds={kinds}
              position={position}
              text={text}
              time={at === undefined ? r.player.atNow : `${r.player.position(at, last)} · ${clockSeconds(when)}`}
              playing={playing}
              speed={speed}
              targets={targets}
              onMove={move}
              onSeek={(to, moved) => seek(to, moved ? 'jump' : 'step')}
              onPlay={play}
              onSpeed={setSpeed}
            />
          </div>
          {beside && (
            <aside
              aria-label={r.events.label}
              className="no-print flex w-90 shrink-0 flex-col border-s border-line bg-surface"
            >
              <section aria-label={r.events.label} className="flex min-h-0 flex-[3] flex-col">
                <PanelTitle>{r.events.label}</PanelTitle>
                {eventsPanel}
              </section>
              <section aria-label={tasksTitle} className="flex min-h-0 flex-[2] flex-col border-t border-line">
                <PanelTitle note={r.tasks.open(openCount)}>{tasksTitle}</PanelTitle>
                <div className="min-h-0 flex-1 overflow-y-auto">{tasksPanel}</div>
              </section>
            </aside>
          )}
        </div>
      )}
    </Past>
  );
}

/** The entry that an instant is about, or the one that was picked of it. */
function principal(
  entries: readonly Entry[],
  n: number | undefined,
  kinds: readonly string[],
  picked: string | undefined,
): Entry | undefined {
  if (n === undefined) return undefined;
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((entries[middle]?.n ?? 0) < n) low = middle + 1;
    else high = middle;
  }
  const mine: Entry[] = [];
  for (let e = entries[low]; e?.n === n; e = entries[++low]) mine.push(e);
  return (
    mine.find((e) => e.key === picked) ??
    // Of a call and its answer in one commit the answer, which comes later, says more.
    mine.findLast((e) => e.event && e.kind === kinds[n - 1]) ??
    mine.find((e) => e.event)
  );
}

function PanelTitle({ children, note }: { children: string; note?: string }) {
  return (
    <div className="flex shrink-0 items-baseline gap-2 px-4 pt-3 pb-2">
      <h2 className="text-control font-semibold">{children}</h2>
      {note !== undefined && <span className="text-meta tabular text-muted">{note}</span>}
    </div>
  );
}

type Tab = 'events' | 'tasks';

interface TabsProps {
  id: string;
  tab: Tab;
  onTab: (tab: Tab) => void;
  names: Readonly<Record<Tab, string>>;
}

function Tabs({ id, tab, onTab, names }: TabsProps) {
  return (
    <div
      role="tablist"
      aria-label={r.views}
      className="flex shrink-0 px-2"
      onKeyDown={(e) => {
        if (e.key !== 'ArrowLeft' && e.key !== 'ArrowRight') return;
        e.preventDefault();
        e.stopPropagation();
        const next = tab === 'events' ? 'tasks' : 'events';
        onTab(next);
        document.getElementById(`${id}-${next}`)?.focus();
      }}
    >
      {(['events', 'tasks'] as const).map((name) => (
        <button
          key={name}
          type="button"
          role="tab"
          id={`${id}-${name}`}
          aria-selected={tab === name}
          aria-controls={`${id}-panel`}
          tabIndex={tab === name ? 0 : -1}
          onClick={() => onTab(name)}
          className={cx(
            'target-row min-w-0 flex-1 truncate border-b-2 px-3 text-control',
            tab === name ? 'border-accent font-medium' : 'border-transparent text-muted hover:text-text',
          )}
        >
          {names[name]}
        </button>
      ))}
    </div>
  );
}
