import { Check, ChevronRight, LoaderCircle, TriangleAlert } from 'lucide-react';
import { memo, useId, useState } from 'react';

import { duration } from '../i18n/format';
import { t } from '../i18n/t';
import type { Call } from '../protocol/types';
import { cx } from '../ui/cx';
import { cardState, ToolCallCard } from './ToolCallCard';

interface Props {
  calls: readonly Call[];
  connected: boolean;
  /** Whether more calls may follow: the answer goes on, and these are the last of it. */
  growing?: boolean;
  onTask?: ((id: number) => void) | undefined;
}

/** From how many calls in a row on they fold into one line. */
const many = 3;

/** Which groups the reader has opened or closed, by their first call: rows come and go. */
const choices = new Map<string, boolean>();
const choicesKept = 200;

function choose(id: string, open: boolean) {
  choices.delete(id);
  choices.set(id, open);
  for (const old of choices.keys()) {
    if (choices.size <= choicesKept) break;
    choices.delete(old);
  }
}

/** Calls in a row. Many fold into a line once they are over; those that failed or ask stay in view. */
export const ToolCalls = memo(function ToolCalls({ calls, connected, growing = false, onTask }: Props) {
  const first = calls[0]?.call_id ?? '';
  // undefined until the reader chooses; then the choice is kept.
  const [chosen, setChosen] = useState(() => choices.get(first));
  const id = useId();
  const cards = (some: readonly Call[]) =>
    some.map((call) => <ToolCallCard key={call.call_id} call={call} connected={connected} onTask={onTask} />);

  if (calls.length < many) return <div className="-mx-2 space-y-0.5">{cards(calls)}</div>;

  const states = calls.map((call) => cardState(call, connected));
  const failed = calls.filter((_, i) => states[i] === 'failed');
  const inView = calls.filter((call, i) => states[i] === 'failed' || call.status === 'asking');
  const active = states.filter((s) => s === 'waiting' || s === 'running' || s === 'asking' || s === 'unknown').length;
  const stopped = states.filter((s) => s === 'stopped' || s === 'denied').length;
  const open = chosen ?? (growing || active > 0);
  const total = calls.reduce((sum, call) => sum + (call.duration_ms ?? 0), 0);
  const parts = [
    t.tools.steps(calls.length),
    failed.length > 0 && t.tools.failedCount(failed.length),
    stopped > 0 && t.tools.stoppedCount(stopped),
    active > 0 && t.tools.activeCount(active),
    active === 0 && total > 0 && duration(total),
  ].filter((part) => part !== false);

  return (
    <div className="-mx-2 space-y-0.5 text-meta">
      <button
        type="button"
        aria-expanded={open}
        aria-controls={id}
        onClick={() => {
          setChosen(!open);
          choose(first, !open);
        }}
        className="group flex target-row w-full items-center gap-2 rounded-sm py-1 ps-2 pe-1 text-start hover:bg-raised"
      >
        <span className="shrink-0" aria-hidden="true">
          {active > 0 ? (
            <LoaderCircle size={16} className="spin text-accent" />
          ) : failed.length > 0 ? (
            <TriangleAlert size={16} className="text-danger" />
          ) : (
            <Check size={16} className="text-ok" />
          )}
        </span>
        <span className="tabular">{parts.join(' · ')}</span>
        <ChevronRight
          size={16}
          aria-hidden
          className={cx(
            'ms-auto text-muted transition-transform rtl:-scale-x-100',
            open ? 'rotate-90' : 'opacity-60 group-hover:opacity-100',
          )}
        />
      </button>
      <div id={id} className={cx('space-y-0.5', open && 'ms-3.5 border-s border-line ps-2')}>
        {cards(open ? calls : inView)}
      </div>
    </div>
  );
});
