import { ChevronRight } from 'lucide-react';

import type { Entry } from '../core/recording';
import { duration } from '../i18n/format';
import { clockMs, fullDay } from '../i18n/precise';
import { r } from '../i18n/replay';
import { pretty } from '../tools/summaries';
import { CopyButton } from '../ui/CopyButton';
import { cx } from '../ui/cx';
import { Glyph } from './Glyph';
import { what } from './words';

export type Raw = 'none' | 'event' | 'commit';

interface Props {
  entry: Entry;
  /** Counted from 1. */
  index: number;
  count: number;
  /** Whose JSON is shown, if any. */
  raw: Raw;
  onRaw: (raw: Raw) => void;
  /** Leads to the conversation that changed a task meanwhile. */
  onOther: (conversationId: string) => void;
}

/** One event: who, when, how long, and the JSON that is stored. */
export function EventDetail({ entry, index, count, raw, onRaw, onOther }: Props) {
  const whole = raw === 'commit';
  const at = new Date(entry.time);
  const json = pretty(entry.change ?? (whole ? entry.commit : entry.event));
  const facts = [
    r.events.actors[entry.actor],
    entry.call?.name,
    entry.durationMs !== undefined && duration(entry.durationMs),
    entry.commit && `${r.events.commit} ${entry.n}`,
  ].filter((f) => typeof f === 'string');
  const other = entry.change?.by === 'model' ? entry.change.conversation_id : undefined;

  return (
    <section
      aria-label={r.events.details}
      className="flex max-h-[70%] min-h-0 shrink-0 flex-col border-t border-line pt-2"
    >
      <div className="flex items-baseline justify-between gap-2 px-4 text-caption tabular text-muted">
        <span>{r.events.place(index, count)}</span>
        <time dateTime={entry.time} title={fullDay(at)}>
          {clockMs(at)}
        </time>
      </div>
      <p className="flex items-center gap-1.5 px-4 pt-0.5 text-control font-medium">
        <Glyph kind={entry.kind} />
        <span dir="auto" className="min-w-0 truncate" title={what(entry)}>
          {what(entry)}
        </span>
      </p>
      <p className="px-4 text-meta text-muted">
        <span className="font-mono text-caption">{entry.type}</span>
        {facts.map((fact) => ` · ${fact}`).join('')}
        {other !== undefined && (
          <>
            {' · '}
            <button
              type="button"
              onClick={() => onOther(other)}
              className="text-accent underline-offset-3 hover:underline"
            >
              {r.events.openOther}
            </button>
          </>
        )}
      </p>
      <div className="flex items-center px-2 pb-1 text-meta">
        <button
          type="button"
          aria-expanded={raw !== 'none'}
          onClick={() => onRaw(raw === 'none' ? 'event' : 'none')}
          className="flex target-row items-center gap-1 rounded-sm px-2 text-muted hover:text-text"
        >
          <ChevronRight
            size={16}
            aria-hidden
            className={cx('transition-transform rtl:-scale-x-100', raw !== 'none' && 'rotate-90')}
          />
          {r.events.raw}
        </button>
        {raw !== 'none' && entry.commit && (
          <button
            type="button"
            aria-pressed={whole}
            onClick={() => onRaw(whole ? 'event' : 'commit')}
            className={cx(
              'target-row rounded-sm px-2 hover:text-text',
              whole ? 'font-medium text-accent' : 'text-muted',
            )}
          >
            {r.events.wholeCommit}
          </button>
        )}
        <span className="ms-auto">
          <CopyButton label={r.events.copyJson} text={() => json} />
        </span>
      </div>
      {raw !== 'none' && (
        <pre
          dir="ltr"
          tabIndex={0}
          aria-label={r.events.json}
          className="mx-2 mb-2 min-h-16 overflow-auto rounded-sm border border-line bg-bg px-2.5 py-2 text-left font-mono text-caption break-words whitespace-pre-wrap focus-visible:-outline-offset-2"
        >
          {json}
        </pre>
      )}
    </section>
  );
}
