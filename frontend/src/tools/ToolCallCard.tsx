import {
  Ban,
  Check,
  ChevronRight,
  CircleDashed,
  CircleHelp,
  CircleSlash,
  LoaderCircle,
  TriangleAlert,
  Undo2,
} from 'lucide-react';
import { memo, useId, useState, type ReactNode } from 'react';

import { useActions, useStore } from '../core/react';
import { duration } from '../i18n/format';
import { t } from '../i18n/t';
import type { Call } from '../protocol/types';
import { Button } from '../ui/Button';
import { cx } from '../ui/cx';
import { later } from '../ui/later';
import { usePast } from '../ui/past';
import { useNow } from '../ui/useNow';
import { doneSummary, failedSummary, plannedSummary, type Summary } from './summaries';

const Approval = later(() => import('./Approval').then((m) => m.Approval));
const CallDetails = later(() => import('./CallDetails').then((m) => m.CallDetails));
const Rerun = later(() => import('./Rerun').then((m) => m.Rerun), null, 'quiet');

export type CardState = 'waiting' | 'asking' | 'running' | 'done' | 'failed' | 'denied' | 'stopped' | 'unknown';

/** While the page is not connected, it does not know how far an open call has come. */
export function cardState(call: Call, connected: boolean): CardState {
  const open = call.status === 'waiting' || call.status === 'running' || call.status === 'asking';
  return open && !connected ? 'unknown' : call.status;
}

const icons: Readonly<Record<CardState, ReactNode>> = {
  waiting: <CircleDashed size={16} className="text-muted" />,
  asking: <CircleHelp size={16} className="text-warn" />,
  running: <LoaderCircle size={16} className="spin text-accent" />,
  done: <Check size={16} className="text-ok" />,
  failed: <TriangleAlert size={16} className="text-danger" />,
  denied: <Ban size={16} className="text-muted" />,
  stopped: <CircleSlash size={16} className="text-muted" />,
  unknown: <CircleHelp size={16} className="text-muted" />,
};

function words(call: Call, state: CardState): Summary {
  switch (state) {
    case 'done':
      return doneSummary(call);
    case 'failed':
      return { text: `${failedSummary(call)}: ${call.error?.message ?? t.tools.noReason}` };
    default:
      return { text: plannedSummary(call) };
  }
}

/** Why a call was ended by the server itself; by its promise, such a call never ran and never will. */
function givenUp(call: Call): string | undefined {
  const { error } = call;
  return call.status === 'stopped' && (error?.code === 'deadline' || error?.code === 'poison')
    ? error.message
    : undefined;
}

interface Props {
  call: Call;
  connected: boolean;
  onTask?: ((id: number) => void) | undefined;
}

/** One quiet row per tool call; failures say why without being opened. */
export const ToolCallCard = memo(function ToolCallCard({ call, connected, onTask }: Props) {
  const [open, setOpen] = useState(false);
  const details = useId();
  const state = cardState(call, connected);
  const { text, taskId, undo } = words(call, state);
  const why = givenUp(call);
  const past = usePast() !== undefined;
  const note = state === 'done' || state === 'failed' ? undefined : (why ?? t.tools[state]);

  return (
    <div
      className={cx(
        'rounded-sm border-s-2 text-meta',
        state === 'failed' || why !== undefined
          ? 'border-danger bg-danger-soft'
          : call.status === 'asking'
            ? 'border-warn bg-warn-soft'
            : 'border-transparent',
      )}
      data-call={call.call_id}
      data-state={state}
    >
      <div
        className={cx(
          'group relative flex target-row items-center gap-2 rounded-sm py-1 ps-1.5 pe-1',
          state !== 'failed' && why === undefined && call.status !== 'asking' && 'hover:bg-raised',
        )}
      >
        <span className="shrink-0" aria-hidden="true">
          {icons[state]}
        </span>
        <span className="flex min-w-0 flex-wrap items-baseline gap-x-1.5">
          {/* The words are the button; its reach is the whole row. */}
          <button
            type="button"
            aria-expanded={open}
            aria-controls={open ? details : undefined}
            onClick={() => setOpen(!open)}
            dir="auto"
            className={cx(
              'min-w-0 rounded-sm text-start break-words after:absolute after:inset-0',
              state !== 'done' && state !== 'failed' && 'text-muted',
            )}
          >
            {text}
          </button>
          {note !== undefined && <span className="text-muted">· {note}</span>}
          {taskId !== undefined && (
            <span className="text-muted">
              ·{' '}
              <button
                type="button"
                disabled={!onTask}
                onClick={() => onTask?.(taskId)}
                aria-label={t.tools.showTask(taskId)}
                title={t.tools.showTask(taskId)}
                className="relative rounded-sm px-0.5 tabular underline-offset-3 after:absolute after:-inset-2 pointer-coarse:after:-inset-3 enabled:hover:text-accent enabled:hover:underline"
              >
                #{taskId}
              </button>
            </span>
          )}
        </span>
        <span className="ms-auto flex shrink-0 items-center gap-1.5 tabular text-muted">
          {undo === true && !past && taskId !== undefined && <UndoDelete taskId={taskId} />}
          {why !== undefined && !past && <Rerun call={call} />}
          {state === 'running' && call.called_at !== undefined ? (
            <Elapsed since={call.called_at} />
          ) : (
            // The log leaves out a zero.
            (state === 'done' || state === 'failed') && <span>{duration(call.duration_ms ?? 0)}</span>
          )}
          <ChevronRight
            size={16}
            aria-hidden
            className={cx(
              'transition-transform rtl:-scale-x-100',
              open ? 'rotate-90' : 'opacity-60 group-hover:opacity-100',
            )}
          />
        </span>
      </div>
      {/* It stays through a lost connection, and what is typed in it. */}
      {call.status === 'asking' && !past && <Approval call={call} connected={connected} />}
      {open && <CallDetails id={details} call={call} />}
    </div>
  );
});

function Elapsed({ since }: { since: string }) {
  const now = useNow(100);
  const ms = now - Date.parse(since);
  // Below half a second a number would only flicker.
  return ms < 500 || Number.isNaN(ms) ? null : <span>{duration(Math.max(1000, ms))}</span>;
}

/** Brings a deleted task back, as long as the page knows that it is still deleted. */
function UndoDelete({ taskId }: { taskId: number }) {
  const actions = useActions();
  const deleted = useStore((s) => s.tasks.byId[taskId]?.deleted === true);
  const [busy, setBusy] = useState(false);
  if (!deleted) return null;

  async function restore() {
    setBusy(true);
    const outcome = await actions.callTool('restore_task', { task_id: taskId });
    setBusy(false);
    if (outcome.error) actions.fail(outcome.error);
  }

  return (
    <Button kind="quiet" disabled={busy} onClick={() => void restore()} className="relative px-2 text-meta">
      <Undo2 size={16} aria-hidden />
      {t.common.undo}
    </Button>
  );
}
