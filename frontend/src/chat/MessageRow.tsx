import {
  CircleSlash,
  Copy,
  Ellipsis,
  History,
  Pencil,
  RefreshCw,
  RotateCcw,
  ThumbsDown,
  ThumbsUp,
  TriangleAlert,
} from 'lucide-react';
import { memo, useState, type ReactNode } from 'react';

import { isOver } from '../core/path';
import { useActions } from '../core/react';
import type { LiveDraft } from '../core/state';
import { clock } from '../i18n/format';
import { t } from '../i18n/t';
import { MarkdownText } from '../markdown/MarkdownText';
import type { Run } from '../protocol/types';
import { ToolCalls } from '../tools/ToolCalls';
import { useAnnounce } from '../ui/announce';
import { Button, IconButton } from '../ui/Button';
import { copy } from '../ui/copy';
import { CopyButton } from '../ui/CopyButton';
import { cx } from '../ui/cx';
import { ErrorNote } from '../ui/ErrorNote';
import { later } from '../ui/later';
import { Menu, MenuItem, MenuLabel } from '../ui/Menu';
import { usePast } from '../ui/past';
import { Time } from '../ui/Time';
import { touch, useMedia } from '../ui/useMedia';
import { failureOf, partsOf, receiptOf, textOf, type Changes } from './answer';
import { BranchSwitch } from './BranchSwitch';
import { MessageLink } from './MessageLink';
import { Bubble } from './UserMessage';
import { useAnswerAgain } from './useAnswerAgain';
import { Stuck, Working } from './Working';

const Reason = later(() => import('./Reason').then((m) => m.Reason));

interface Props {
  run: Run;
  draft: LiveDraft | undefined;
  connected: boolean;
  stopping: boolean;
  /** Which of the versions of this message it is, counted from 0. */
  version: number;
  versions: number;
  /** What they have done, where there are several. */
  changes: Changes | undefined;
  /** Whether the answer could be asked for again, that is no run is going on. */
  idle: boolean;
  onVersion: (run: Run, index: number) => void;
  onEdit: (run: Run) => void;
  onAgain: (run: Run) => void;
  onTask: (id: number, history?: boolean) => void;
  /** Shows in the replay how the answer came about. */
  onWhy?: ((run: Run) => void) | undefined;
}

/** A message and its answer. Drawn again only if one of them has changed. */
export const MessageRow = memo(function MessageRow(props: Props) {
  const { run, draft, connected, stopping, version, versions, changes, idle, onVersion, onEdit, onTask } = props;
  const { again, question } = useAnswerAgain(run, props.onAgain);
  const actions = useActions();
  const announce = useAnnounce();
  const [asking, setAsking] = useState(false);
  const over = isOver(run.status);
  const parts = partsOf(run, draft);
  const growing = parts.at(-1)?.kind === 'text' && !over && draft !== undefined;
  const text = textOf(run);
  const at = new Date(run.message.time);
  const past = usePast() !== undefined;
  const callsOpen = (run.calls ?? []).some((call) => call.status === 'running');
  const waiting = !over && run.status !== 'queued' && !growing && !(callsOpen && !stopping);

  return (
    <div className="space-y-3">
      <article
        tabIndex={-1}
        data-message={run.message.message_id}
        aria-labelledby={`m-${run.run_id}`}
        className="rounded-sm outline-offset-4"
      >
        <h2 id={`m-${run.run_id}`} className="sr-only">
          {t.chat.yourMessage(Number.isNaN(at.getTime()) ? '' : clock(at))}
        </h2>
        <div className="flex items-center justify-end gap-1">
          <UserActions run={run} onEdit={onEdit} />
          <Bubble text={run.message.text} />
        </div>
        {changes && (
          <Bar end>
            <BranchSwitch
              index={version}
              count={versions}
              changes={changes}
              onGo={(i) => onVersion(run, i)}
              onTask={onTask}
            />
          </Bar>
        )}
      </article>
      {run.status !== 'queued' && (
        <article
          tabIndex={-1}
          data-run={run.run_id}
          data-status={run.status}
          aria-labelledby={`a-${run.run_id}`}
          aria-busy={!over}
          className="rounded-sm outline-offset-4"
        >
          <h2 id={`a-${run.run_id}`} className="sr-only">
            {t.chat.answer}
          </h2>
          <div className="space-y-2.5">
            {parts.map((part) =>
              part.kind === 'text' ? (
                <MarkdownText key={part.key} text={part.text} growing={part.growing} />
              ) : (
                <ToolCalls
                  key={part.key}
                  calls={part.calls}
                  connected={connected}
                  growing={!over && part === parts.at(-1)}
                  onTask={onTask}
                />
              ),
            )}
            {waiting && <Working run={run} connected={connected} stopping={stopping} />}
            {growing && !stopping && <Stuck run={run} connected={connected} text={draft.text} />}
            {run.status === 'cancelled' && (
              <p className="flex items-start gap-2 text-meta text-muted">
                <CircleSlash size={16} aria-hidden className="mt-0.5 shrink-0" />
                <span>{receiptOf(run)}</span>
              </p>
            )}
            {run.status === 'failed' && <Failure run={run} onAgain={idle ? again : undefined} />}
          </div>
          {over && (
            <Bar>
              {text !== '' && <CopyButton label={t.chat.copyAnswer} text={() => text} />}
              {idle && (
                <IconButton label={t.chat.regenerate} onClick={again}>
                  <RefreshCw size={16} aria-hidden />
                </IconButton>
              )}
              {run.status === 'completed' && !past && <Rate run={run} onBad={() => setAsking(true)} />}
              {props.onWhy && (
                <IconButton label={t.chat.why} onClick={() => props.onWhy?.(run)}>
                  <History size={16} aria-hidden />
                </IconButton>
              )}
              {run.ended_at !== undefined && <MessageLink id={run.run_id} at={run.ended_at} className="reveal" />}
            </Bar>
          )}
          {asking && run.rating?.rating === 'down' && (
            <Reason
              onDone={(reason) => {
                setAsking(false);
                if (reason === undefined) return;
                void actions.rate(run.run_id, 'down', reason);
                announce(t.chat.thanks);
              }}
            />
          )}
          {question}
        </article>
      )}
    </div>
  );
});

/** What can be done with a message: icons for the mouse, one menu for the finger. */
function UserActions({ run, onEdit }: { run: Run; onEdit: (run: Run) => void }) {
  const announce = useAnnounce();
  const byFinger = useMedia(touch);
  const past = usePast() !== undefined;
  if (byFinger) {
    return (
      <span className="no-print shrink-0">
        <Menu label={t.chat.messageMenu} trigger={<Ellipsis size={16} aria-hidden />}>
          <MenuLabel>
            <Time at={run.message.time} exact />
          </MenuLabel>
          {!past && (
            <MenuItem
              moves
              icon={<Pencil size={16} />}
              onSelect={() => {
                onEdit(run);
              }}
            >
              {t.chat.editMessage}
            </MenuItem>
          )}
          <MenuItem
            icon={<Copy size={16} />}
            onSelect={() => {
              copy(run.message.text).then(
                () => announce(t.common.copied),
                () => announce(t.common.copyFailed),
              );
            }}
          >
            {t.chat.copyMessage}
          </MenuItem>
        </Menu>
      </span>
    );
  }
  return (
    <span className="reveal no-print inline-flex shrink-0 items-center">
      <MessageLink id={run.message.message_id} at={run.message.time} end />
      {!past && (
        <IconButton label={t.chat.editMessage} onClick={() => onEdit(run)}>
          <Pencil size={16} aria-hidden />
        </IconButton>
      )}
      <CopyButton label={t.chat.copyMessage} text={() => run.message.text} />
    </span>
  );
}

/** The small controls below a message. */
function Bar({ end = false, children }: { end?: boolean; children: ReactNode }) {
  return (
    <div className={cx('no-print mt-0.5 flex min-h-8 items-center', end ? 'justify-end' : '-ms-2 justify-start')}>
      {children}
    </div>
  );
}

function Rate({ run, onBad }: { run: Run; onBad: () => void }) {
  const actions = useActions();
  const rating = run.rating?.rating;
  const rate = (to: 'up' | 'down') => void actions.rate(run.run_id, rating === to ? 'none' : to);
  return (
    <>
      <IconButton
        label={t.chat.good}
        aria-pressed={rating === 'up'}
        className="aria-pressed:text-accent"
        onClick={() => rate('up')}
      >
        <ThumbsUp size={16} aria-hidden />
      </IconButton>
      <IconButton
        label={t.chat.bad}
        aria-pressed={rating === 'down'}
        className="aria-pressed:text-accent"
        onClick={() => {
          rate('down');
          if (rating !== 'down') onBad();
        }}
      >
        <ThumbsDown size={16} aria-hidden />
      </IconButton>
    </>
  );
}

/** Why there is no answer, what was kept, and what to do. */
function Failure({ run, onAgain }: { run: Run; onAgain: (() => void) | undefined }) {
  const ran = (run.calls ?? []).some((call) => call.status === 'done');
  const kept = ran ? t.chat.toolsKept : textOf(run) !== '' ? t.chat.textKept : undefined;
  const error = { code: run.error?.code ?? '', message: failureOf(run), requestId: run.run_id, of: 'runs' } as const;
  return (
    <div className="rounded-sm border-s-2 border-danger bg-danger-soft p-3 text-control">
      <div className="flex items-start gap-2">
        <TriangleAlert size={16} aria-hidden className="mt-0.5 shrink-0 text-danger" />
        <ErrorNote error={error} kept={kept}>
          {onAgain && (
            <Button onClick={onAgain}>
              <RotateCcw size={16} aria-hidden />
              {t.common.tryAgain}
            </Button>
          )}
        </ErrorNote>
      </div>
    </div>
  );
}
