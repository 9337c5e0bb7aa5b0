import { useMemo, useRef, type KeyboardEvent, type PointerEvent } from 'react';

import type { Kind } from '../core/recording';
import { r } from '../i18n/replay';
import { colours, Shape } from './Glyph';

interface Props {
  /** Of every instant, from the first. */
  kinds: readonly Kind[];
  /** From 1; one more than there are instants is now. */
  position: number;
  /** What the position is, in words. */
  text: string;
  /** moved: the reader has let go, or pressed a key that goes far. */
  onMove: (position: number, moved: boolean) => void;
}

/** More marks than this nobody can tell apart. */
const most = 120;

const rank: readonly Kind[] = ['other', 'elsewhere', 'assistant', 'user', 'tool', 'error'];

/** The marks to draw: of instants that fall together, the one that says most. */
export function marksOf(kinds: readonly Kind[]): { at: number; kind: Kind }[] {
  const size = Math.max(1, Math.ceil(kinds.length / most));
  const marks: { at: number; kind: Kind }[] = [];
  for (let i = 0; i < kinds.length; i += size) {
    let best = i;
    for (let j = i + 1; j < Math.min(i + size, kinds.length); j++) {
      if (rank.indexOf(kinds[j] ?? 'other') > rank.indexOf(kinds[best] ?? 'other')) best = j;
    }
    marks.push({ at: best + 1, kind: kinds[best] ?? 'other' });
  }
  return marks;
}

/** Every instant on a line, and the one that is shown. */
export function Timeline({ kinds, position, text, onMove }: Props) {
  const line = useRef<HTMLDivElement>(null);
  const dragging = useRef(false);
  const last = kinds.length + 1;
  const marks = useMemo(() => marksOf(kinds), [kinds]);
  const x = (n: number) => `${last > 1 ? ((n - 1) / (last - 1)) * 100 : 100}%`;

  function under(e: PointerEvent): number {
    const el = line.current;
    const box = el?.getBoundingClientRect();
    if (!el || !box || box.width === 0) return position;
    const from = (e.clientX - box.left) / box.width;
    const ratio = getComputedStyle(el).direction === 'rtl' ? 1 - from : from;
    return Math.max(1, Math.min(last, Math.round(1 + ratio * (last - 1))));
  }

  function key(e: KeyboardEvent) {
    // Left, right, Home and End belong to the whole view.
    const far = Math.max(1, Math.round(last / 10));
    const to =
      e.key === 'ArrowUp'
        ? position + 1
        : e.key === 'ArrowDown'
          ? position - 1
          : e.key === 'PageUp'
            ? position + far
            : e.key === 'PageDown'
              ? position - far
              : undefined;
    if (to === undefined) return;
    e.preventDefault();
    onMove(Math.max(1, Math.min(last, to)), e.key.startsWith('Page'));
  }

  return (
    <div
      role="slider"
      tabIndex={0}
      id="timeline"
      aria-label={r.player.timeline}
      aria-orientation="horizontal"
      aria-valuemin={1}
      aria-valuemax={last}
      aria-valuenow={position}
      aria-valuetext={text}
      onKeyDown={key}
      onPointerDown={(e) => {
        if (e.button !== 0) return;
        e.currentTarget.setPointerCapture(e.pointerId);
        dragging.current = true;
        onMove(under(e), false);
      }}
      onPointerMove={(e) => {
        if (dragging.current) onMove(under(e), false);
      }}
      onPointerUp={(e) => {
        if (!dragging.current) return;
        dragging.current = false;
        onMove(under(e), true);
      }}
      onPointerCancel={() => {
        dragging.current = false;
      }}
      className="h-9 cursor-pointer touch-none rounded-sm px-3 select-none pointer-coarse:h-11"
    >
      <div ref={line} className="h-full">
        <svg aria-hidden="true" className="size-full overflow-visible rtl:-scale-x-100">
          <line x1="0" x2="100%" y1="50%" y2="50%" className="stroke-line" strokeWidth="2" />
          <line x1="0" x2={x(position)} y1="50%" y2="50%" className="stroke-accent" strokeWidth="2" />
          {marks.map((m) => (
            <svg key={m.at} x={x(m.at)} y="50%" className={`overflow-visible ${colours[m.kind]}`}>
              <Shape kind={m.kind} />
            </svg>
          ))}
          <svg x={x(position)} y="50%" className="overflow-visible">
            <line y1="-15" y2="15" className="stroke-accent" strokeWidth="2" />
            <circle cy="-12" r="5" className="fill-accent stroke-bg" strokeWidth="2" />
          </svg>
        </svg>
      </div>
    </div>
  );
}
