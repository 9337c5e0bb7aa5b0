import { ArrowDown } from 'lucide-react';
import {
  Fragment,
  useCallback,
  useEffect,
  useImperativeHandle,
  useMemo,
  useRef,
  useState,
  type ComponentProps,
  type ReactNode,
  type Ref,
} from 'react';
import { flushSync } from 'react-dom';

import { isOver, siblings } from '../core/path';
import { useStore } from '../core/react';
import type { LiveDraft, OutboxItem } from '../core/state';
import { day, daysAgo } from '../i18n/format';
import { t } from '../i18n/t';
import type { Conversation, Run } from '../protocol/types';
import { cx } from '../ui/cx';
import { ErrorBoundary } from '../ui/ErrorBoundary';
import { later } from '../ui/later';
import { useChoice } from '../ui/prefs';
import { changesBelow, type Changes } from './answer';
import { MessageRow } from './MessageRow';
import { PendingRow } from './PendingRow';
import { centre, createRows, Row } from './Row';
import { useFollow } from './useFollow';

const FindBar = later(() => import('./FindBar').then((m) => m.FindBar));

export interface MessageListHandle {
  /** The reader has sent something. */
  sent: () => void;
  /** Brings a message, or the answer of a run, into view; false if it is not drawn. */
  show: (id: string) => boolean;
  /** Moves the focus by one message. */
  step: (by: 1 | -1) => void;
}

interface Props {
  ref?: Ref<MessageListHandle>;
  conversation: Conversation;
  /** The runs on screen, oldest first. */
  runs: readonly Run[];
  /** What is being written at the instant that is shown; live: whatever comes. */
  draft: LiveDraft | undefined | 'live';
  pending: readonly OutboxItem[];
  connected: boolean;
  stopping: readonly string[];
  idle: boolean;
  loadOlder: () => Promise<void>;
  onVersion: (run: Run, index: number) => void;
  onEdit: (run: Run) => void;
  onAgain: (run: Run) => void;
  onEditPending: (item: OutboxItem) => void;
  onTask: (id: number, history?: boolean) => void;
  onWhy?: ((run: Run) => void) | undefined;
  children?: ReactNode;
}

/** Rows that are always laid out: the newest, where reading happens. */
const close = 30;

/** What a message that is brought into view has above it. */
const above = 16;

/** Up to so many runs all are drawn: the browser's search, screen readers and the printer see everything. */
const plain = 75;

/** Of more, the newest that are drawn wherever one is. */
const always = 3;

/** How near the top the reader has to be for older messages to come. */
const ahead = '600px';

export function MessageList(props: Props) {
  const { ref, conversation, runs, pending, connected, stopping, idle, loadOlder } = props;
  const keepQuestion = useChoice('follow') === 'question';
  const { scroller, content, following, room, toEnd, sent, visit, still } = useFollow(keepQuestion, pending.length > 0);
  const older = useRef<HTMLDivElement>(null);
  const hasMore = conversation.has_more === true;
  const unseen = useUnseen(runs, following);
  const long = hasMore || runs.length > plain;
  const [made] = useState(() => createRows(still));
  const rows = long ? made : undefined;
  const { finding, stopFinding } = useFind(rows !== undefined);

  const toCentre = useCallback((el: Element) => visit(() => centre(el)), [visit]);

  const reveal = useCallback(
    async (runId: string) => {
      made?.reveal(runId);
      const row = rowOf(scroller.current, runId);
      if (row) toCentre(row);
      // It is drawn by then.
      await new Promise(requestAnimationFrame);
      return row;
    },
    [made, scroller, toCentre],
  );

  useEffect(() => {
    const print = () => flushSync(() => made?.revealAll());
    addEventListener('beforeprint', print);
    return () => removeEventListener('beforeprint', print);
  }, [made]);

  useImperativeHandle(
    ref,
    () => ({
      sent,
      show(id) {
        const run = runs.find((r) => r.run_id === id || r.message.message_id === id);
        // In a long transcript its row may not be drawn.
        if (!show(scroller.current, id, visit) && run)
          void reveal(run.run_id).then(() => show(scroller.current, id, visit));
        return run !== undefined;
      },
      step(by) {
        visit(() => step(scroller.current, by));
      },
    }),
    [sent, visit, reveal, runs, scroller],
  );

  useEffect(() => {
    const el = older.current;
    if (!el || !hasMore || typeof IntersectionObserver === 'undefined') return;
    let busy = false;
    const watch = new IntersectionObserver(
      (entries) => {
        if (busy || !entries.some((e) => e.isIntersecting)) return;
        busy = true;
        void loadOlder().finally(() => {
          busy = false;
        });
      },
      { root: scroller.current, rootMargin: `${ahead} 0px 0px` },
    );
    watch.observe(el);
    return () => watch.disconnect();
    // A new oldest row means that the last load has ended; the observer then looks again.
  }, [hasMore, loadOlder, scroller, runs[0]?.run_id]); // eslint-disable-line react-hooks/exhaustive-deps

  const versions = useMemo(() => {
    const byRun = new Map<string, { group: readonly Run[]; changes: Changes }>();
    for (const run of runs) {
      const group = siblings(conversation, run);
      if (group.length > 1) byRun.set(run.run_id, { group, changes: changesBelow(conversation, group) });
    }
    return byRun;
  }, [conversation, runs]);
  const newest = runs.length + pending.length - 1;
  const now = new Date();

  return (
    <div className="relative flex min-h-0 flex-1 flex-col">
      {finding && (
        <FindBar
          runs={runs}
          hasMore={hasMore}
          loadOlder={loadOlder}
          onReveal={reveal}
          onShow={toCentre}
          onClose={stopFinding}
        />
      )}
      <div
        ref={scroller}
        id="messages"
        tabIndex={-1}
        className="transcript @container-[size] min-h-0 flex-1 overflow-y-auto overscroll-contain"
      >
        <div
          ref={content}
          role="log"
          aria-live="off"
          aria-label={t.chat.transcript}
          className="measure flex min-h-full flex-col gap-4 pt-6 pb-8"
        >
          {hasMore && (
            <div ref={older} className="py-2 text-center text-meta text-muted">
              {t.chat.older}
            </div>
          )}
          {runs.map((run, i) => {
            const at = new Date(run.message.time);
            const before = runs[i - 1];
            const newDay = !before || daysAgo(new Date(before.message.time), at) !== 0;
            const { group, changes } = versions.get(run.run_id) ?? { group: [run] };
            return (
              <Fragment key={run.run_id}>
                {newDay && !Number.isNaN(at.getTime()) && <DayLine text={day(at, now)} />}
                <Row
                  id={run.run_id}
                  rows={rows}
                  always={i >= runs.length - always || !isOver(run.status)}
                  className={cx(!rows && i < runs.length - close && 'far-row', room && i === newest && 'room')}
                >
                  <ErrorBoundary text={t.crash.message} resetKey={run}>
                    <DraftRow
                      run={run}
                      draft={isOver(run.status) ? undefined : props.draft}
                      connected={connected}
                      stopping={stopping.includes(run.run_id)}
                      version={group.findIndex((r) => r.run_id === run.run_id)}
                      versions={group.length}
                      changes={changes}
                      idle={idle}
                      onVersion={props.onVersion}
                      onEdit={props.onEdit}
                      onAgain={props.onAgain}
                      onTask={props.onTask}
                      onWhy={props.onWhy}
                    />
                  </ErrorBoundary>
                </Row>
              </Fragment>
            );
          })}
          {pending.map((item, i) => (
            <div key={item.id} className={cx(room && runs.length + i === newest && 'room')}>
              <PendingRow item={item} onEdit={props.onEditPending} />
            </div>
          ))}
          {props.children}
        </div>
      </div>
      {!following && (
        <button
          type="button"
          onClick={toEnd}
          className="no-print appear absolute start-1/2 bottom-3 flex min-h-9 -translate-x-1/2 items-center gap-1.5 rounded-full border border-line bg-bg ps-3 pe-3.5 text-meta font-medium shadow-float hover:bg-raised pointer-coarse:min-h-11 rtl:translate-x-1/2"
        >
          <ArrowDown size={16} aria-hidden className="text-accent" />
          {t.chat.jump}
          {unseen > 0 && <span className="tabular text-accent">· {t.chat.jumpNew(unseen)}</span>}
        </button>
      )}
    </div>
  );
}

/** Draws what is being written of an answer without the rows around it. */
function DraftRow({ draft, ...props }: Omit<ComponentProps<typeof MessageRow>, 'draft'> & Pick<Props, 'draft'>) {
  const live = useStore((s) => (draft === 'live' ? s.open?.draft : undefined));
  const shown = draft === 'live' ? live : draft;
  return <MessageRow {...props} draft={shown?.runId === props.run.run_id ? shown : undefined} />;
}

function DayLine({ text }: { text: string }) {
  return (
    <p className="flex items-center gap-3 text-caption text-muted" role="separator" aria-label={text}>
      <span className="h-px flex-1 bg-line" />
      {text}
      <span className="h-px flex-1 bg-line" />
    </p>
  );
}

/** How many messages have come since the reader left the end. */
function useUnseen(runs: readonly Run[], following: boolean): number {
  const last = useRef<string>(undefined);
  // The last run that was seen at the end is a matter of what is on screen, not of state.
  /* eslint-disable react-hooks/refs */
  if (following) last.current = runs.at(-1)?.run_id;
  const at = runs.findIndex((r) => r.run_id === last.current);
  /* eslint-enable react-hooks/refs */
  return at < 0 ? 0 : runs.length - 1 - at;
}

function show(root: HTMLElement | null, id: string, visit: (scroll: () => void) => void): boolean {
  const name = CSS.escape(id);
  const el = root?.querySelector<HTMLElement>(`[data-message="${name}"], [data-run="${name}"]`);
  if (!root || !el) return false;
  el.dataset.target = '';
  el.focus({ preventScroll: true });
  // By the list alone: scrollIntoView would move the page as well where the list has no more room.
  const toTop = () =>
    visit(() => {
      root.scrollTop += el.getBoundingClientRect().top - root.getBoundingClientRect().top - above;
    });
  toTop();
  // Rows above have a height only once they have been near.
  requestAnimationFrame(toTop);
  el.addEventListener('blur', () => delete el.dataset.target, { once: true });
  return true;
}

function rowOf(root: HTMLElement | null, runId: string): HTMLElement | undefined {
  return [...(root?.querySelectorAll<HTMLElement>('[data-row]') ?? [])].find((el) => el.dataset.row === runId);
}

/** Ctrl or Cmd and F opens the page's own search, where the browser's would not see everything. */
function useFind(wanted: boolean) {
  const [finding, setFinding] = useState(false);
  const back = useRef<Element>(null);
  useEffect(() => {
    if (!wanted || finding) return;
    const key = (e: KeyboardEvent) => {
      if (e.key.toLowerCase() !== 'f' || !(e.ctrlKey || e.metaKey) || e.shiftKey || e.altKey) return;
      if (document.querySelector('dialog[open]')) return;
      e.preventDefault();
      back.current = document.activeElement;
      setFinding(true);
    };
    document.addEventListener('keydown', key);
    return () => document.removeEventListener('keydown', key);
  }, [wanted, finding]);
  const stopFinding = useCallback(() => {
    setFinding(false);
    if (back.current instanceof HTMLElement) back.current.focus();
  }, []);
  return { finding, stopFinding };
}

function step(root: HTMLElement | null, by: 1 | -1) {
  if (!root) return;
  const all = [...root.querySelectorAll<HTMLElement>('article[tabindex]')];
  const at = all.findIndex((el) => el.contains(document.activeElement));
  const next = at < 0 ? (by < 0 ? all.at(-1) : all[0]) : all[at + by];
  next?.focus();
  next?.scrollIntoView({ block: 'nearest' });
}
