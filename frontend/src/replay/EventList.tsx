import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState, type KeyboardEvent } from 'react';

import type { Entry, Kind } from '../core/recording';
import { number } from '../i18n/format';
import { clockSeconds } from '../i18n/precise';
import { r } from '../i18n/replay';
import { cx } from '../ui/cx';
import { Filters } from '../ui/Filters';
import { Glyph } from './Glyph';
import { what, where } from './words';

type Filter = keyof typeof r.events.filters;

const filters = ['all', 'user', 'assistant', 'tool', 'error'] as const satisfies readonly Filter[];

/** Whether a filter lets an entry through. What was done elsewhere was done by tools too. */
function lets(filter: Filter, kind: Kind): boolean {
  return filter === 'all' || kind === filter || (filter === 'tool' && (kind === 'elsewhere' || kind === 'error'));
}

interface Props {
  entries: readonly Entry[];
  /** The instant that is shown; undefined = now. */
  n: number | undefined;
  /** The entry of it that is looked at. */
  current: Entry | undefined;
  onPick: (entry: Entry) => void;
}

/** A row's height until one has been measured. */
const rowHeight = 36;
/** Rows above and below those in view. */
const margin = 8;
/** What is shown where nobody knows the height, as in tests. */
const blind = 100;

/** Everything that happened, one line each; only the lines in view are drawn. */
export function EventList({ entries, n, current, onPick }: Props) {
  const [filter, setFilter] = useState<Filter>('all');
  const [view, setView] = useState({ top: 0, height: 0, row: rowHeight });
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  const counts = useMemo(() => {
    const of = (f: Filter) => entries.reduce((sum, e) => sum + (lets(f, e.kind) ? 1 : 0), 0);
    return Object.fromEntries(filters.map((f) => [f, of(f)])) as Record<Filter, number>;
  }, [entries]);
  const rows = useMemo(() => entries.filter((e) => lets(filter, e.kind)), [entries, filter]);
  const chosen = current ? rows.indexOf(current) : -1;
  /** Where the reader is in this list, even if no row of it belongs to the instant. */
  const place = chosen >= 0 ? chosen : n === undefined ? rows.length - 1 : rows.findLastIndex((e) => e.n <= n);

  useEffect(() => {
    const el = box.current;
    if (!el) return;
    const measure = () => {
      const row = el.querySelector<HTMLElement>('[role=option]')?.offsetHeight ?? 0;
      setView({ top: el.scrollTop, height: el.clientHeight, row: row > 0 ? row : rowHeight });
    };
    measure();
    if (typeof ResizeObserver === 'undefined') return;
    const sizes = new ResizeObserver(measure);
    sizes.observe(el);
    return () => sizes.disconnect();
  }, [filter, entries.length === 0]); // eslint-disable-line react-hooks/exhaustive-deps

  useLayoutEffect(() => {
    const el = box.current;
    if (!el || place < 0 || el.clientHeight === 0) return;
    const top = place * view.row;
    if (top >= el.scrollTop + view.row && top + 2 * view.row <= el.scrollTop + el.clientHeight) return;
    el.scrollTop = top - (el.clientHeight - view.row) / 2;
  }, [place, view.row, view.height]);

  function key(e: KeyboardEvent) {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[e.key];
    if (by === undefined || rows.length === 0) return;
    e.preventDefault();
    // From between two rows, one step down is the next of them.
    const from = chosen < 0 && by < 0 && n !== undefined ? place + 1 : place;
    const to = rows[Math.max(0, Math.min(rows.length - 1, from + by))];
    if (to) onPick(to);
  }

  const first = view.height === 0 ? 0 : Math.max(0, Math.floor(view.top / view.row) - margin);
  const last = view.height === 0 ? blind : Math.ceil((view.top + view.height) / view.row) + margin;
  const drawn = rows.slice(first, last);

  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <Filters
        label={r.events.filter}
        filters={filters}
        chosen={filter}
        onChoose={setFilter}
        className="mx-2 mb-1.5"
        choice="min-w-0 flex-auto flex-wrap gap-x-1 px-1 text-caption"
      >
        {(f) => (
          <>
            {f !== 'all' && <Glyph kind={f} />}
            {r.events.filters[f]}
            <span className="tabular text-muted">{number(counts[f])}</span>
          </>
        )}
      </Filters>
      {rows.length === 0 ? (
        <p className="p-4 text-control text-muted">{r.events.none}</p>
      ) : (
        <div
          ref={box}
          role="listbox"
          tabIndex={0}
          aria-label={r.events.label}
          aria-activedescendant={place >= first && place < last ? `${id}-${place}` : undefined}
          onKeyDown={key}
          onScroll={(e) => setView({ ...view, top: e.currentTarget.scrollTop, height: e.currentTarget.clientHeight })}
          className="min-h-0 flex-1 overflow-y-auto overscroll-contain px-2 focus-visible:-outline-offset-2"
        >
          <div role="presentation" style={{ height: first * view.row }} />
          {drawn.map((e, i) => {
            const at = first + i;
            const at2 = where(e);
            return (
              <div
                key={e.key}
                id={`${id}-${at}`}
                role="option"
                aria-selected={e === current}
                aria-setsize={rows.length}
                aria-posinset={at + 1}
                onClick={() => onPick(e)}
                className={cx(
                  'flex h-9 cursor-pointer items-center gap-2 rounded-sm px-2 text-meta pointer-coarse:h-11',
                  e === current
                    ? 'selected bg-accent-soft'
                    : e.n === n
                      ? 'bg-raised'
                      : n !== undefined && e.n > n
                        ? 'text-muted hover:bg-raised'
                        : 'hover:bg-raised',
                )}
              >
                <Glyph kind={e.kind} />
                <span dir="auto" className="min-w-0 flex-1 truncate">
                  {what(e)}
                  {at2 !== undefined && <span className="text-muted"> · {at2}</span>}
                </span>
                <span className="shrink-0 text-caption tabular text-muted">{clockSeconds(new Date(e.time))}</span>
              </div>
            );
          })}
          <div role="presentation" style={{ height: Math.max(0, rows.length - first - drawn.length) * view.row }} />
        </div>
      )}
    </div>
  );
}
