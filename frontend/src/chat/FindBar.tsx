import { ChevronDown, ChevronUp, X } from 'lucide-react';
import { useEffect, useMemo, useRef, useState } from 'react';

import { more } from '../i18n/more';
import type { Run } from '../protocol/types';
import { IconButton } from '../ui/Button';
import { findIn, rangesIn } from './find';

const words = more.find;

interface Props {
  /** What is here of the conversation, oldest first. */
  runs: readonly Run[];
  hasMore: boolean;
  loadOlder: () => Promise<void>;
  /** Draws the row of a run and returns it once it is there. */
  onReveal: (runId: string) => Promise<Element | undefined>;
  /** Brings something that is drawn into view. */
  onShow: (el: Element) => void;
  onClose: () => void;
}

const all = 'parley-found';
const one = 'parley-found-now';

/** Marks hits without touching what is drawn, where the browser can do that. */
function mark(name: string, ranges: readonly Range[]) {
  if (typeof Highlight === 'undefined') return;
  if (ranges.length === 0) CSS.highlights.delete(name);
  else CSS.highlights.set(name, new Highlight(...ranges));
}

/** Finds words in the whole of a conversation, of which the browser's own search sees only what is drawn. */
export function FindBar({ runs, hasMore, loadOlder, onReveal, onShow, onClose }: Props) {
  const [text, setText] = useState('');
  // Counted from the newest, so that what is read meanwhile does not move it.
  const [fromEnd, setFromEnd] = useState(0);
  const field = useRef<HTMLInputElement>(null);
  const hits = useMemo(() => findIn(runs, text), [runs, text]);
  const at = hits.length - 1 - Math.min(fromEnd, Math.max(0, hits.length - 1));
  const hit = hits[at];

  useEffect(() => field.current?.focus(), []);

  // Page by page, as each arrives.
  const oldest = runs[0]?.run_id;
  useEffect(() => {
    if (hasMore) void loadOlder();
  }, [hasMore, loadOlder, oldest]);

  useEffect(() => {
    if (!hit) {
      mark(all, []);
      mark(one, []);
      return;
    }
    let here = true;
    void onReveal(hit.runId).then((row) => {
      if (!here || !row) return;
      const place = row.querySelector(hit.place === 'message' ? '[data-message]' : '[data-run]') ?? row;
      const ranges = rangesIn(place, text);
      const now = ranges[hit.index] ?? ranges[0];
      mark(all, rangesIn(row, text));
      mark(one, now ? [now] : []);
      onShow(now?.startContainer.parentElement ?? place);
    });
    return () => {
      here = false;
    };
    // The same hit in a newer list is the same.
  }, [hit?.runId, hit?.place, hit?.index, text, onReveal, onShow]); // eslint-disable-line react-hooks/exhaustive-deps

  useEffect(
    () => () => {
      mark(all, []);
      mark(one, []);
    },
    [],
  );

  const go = (by: 1 | -1) =>
    setFromEnd(hits.length === 0 ? 0 : (hits.length - 1 - at - by + hits.length) % hits.length);

  return (
    <div
      role="search"
      className="no-print flex shrink-0 items-center gap-1 border-b border-line bg-surface px-4 py-1 text-control"
    >
      <input
        ref={field}
        type="text"
        aria-label={words.label}
        placeholder={words.label}
        value={text}
        onChange={(e) => {
          setText(e.target.value);
          setFromEnd(0);
        }}
        onKeyDown={(e) => {
          if (e.nativeEvent.isComposing) return;
          if (e.key === 'Enter') go(e.shiftKey ? -1 : 1);
          else if (e.key === 'Escape') onClose();
          else return;
          e.preventDefault();
          e.stopPropagation();
        }}
        dir="auto"
        className="target-row min-w-0 flex-1 rounded-sm border border-edge bg-bg px-2.5"
      />
      <span role="status" className="px-1 text-meta tabular text-muted">
        {text.trim() === '' ? '' : words.hits(at + 1, hits.length)}
        {hasMore ? ` ${words.reading}` : ''}
      </span>
      <IconButton label={words.previous} disabled={hits.length === 0} onClick={() => go(-1)}>
        <ChevronUp size={16} aria-hidden />
      </IconButton>
      <IconButton label={words.next} disabled={hits.length === 0} onClick={() => go(1)}>
        <ChevronDown size={16} aria-hidden />
      </IconButton>
      <IconButton label={words.close} onClick={onClose}>
        <X size={16} aria-hidden />
      </IconButton>
    </div>
  );
}
