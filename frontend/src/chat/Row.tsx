import { useEffect, useRef, useState, type ReactNode } from 'react';
import { flushSync } from 'react-dom';

import { cx } from '../ui/cx';

/** How far beyond what is in view rows are drawn. */
const ahead = '400px';

/** How high a row is taken to be that has never been drawn. */
const guess = 180;

type Tell = (near: boolean, height: number) => void;

/** Knows which rows of a long transcript are near what is in view. */
export interface Rows {
  watch(id: string, el: Element, tell: Tell): () => void;
  /** Draws a row that may be far away. */
  reveal(id: string): void;
  /** Draws all of them, as for printing. */
  revealAll(): void;
}

/**
 * Undefined where the browser cannot tell what is in view: then every row is drawn. What is to be drawn otherwise from
 * now on is drawn within `still`.
 */
export function createRows(still: (draw: () => void) => void): Rows | undefined {
  if (typeof IntersectionObserver === 'undefined') return undefined;
  const rows = new Map<string, { el: Element; tell: Tell }>();
  const ids = new WeakMap<Element, string>();
  let eye: IntersectionObserver | undefined;

  function look(entries: readonly IntersectionObserverEntry[]) {
    const tellAll = () => {
      for (const e of entries) {
        const row = rows.get(ids.get(e.target) ?? '');
        if (row && (e.isIntersecting || !isUsed(e.target))) row.tell(e.isIntersecting, e.boundingClientRect.height);
      }
    };
    still(() => flushSync(tellAll));
  }

  return {
    watch(id, el, tell) {
      eye ??= new IntersectionObserver(look, { root: el.closest('.transcript'), rootMargin: `${ahead} 0px` });
      const row = { el, tell };
      rows.set(id, row);
      ids.set(el, id);
      eye.observe(el);
      return () => {
        eye?.unobserve(el);
        if (rows.get(id) === row) rows.delete(id);
      };
    },
    reveal(id) {
      rows.get(id)?.tell(true, 0);
    },
    revealAll() {
      for (const row of rows.values()) row.tell(true, 0);
    },
  };
}

/** Brings something into the middle of the transcript; the page around it stays where it is. */
export function centre(el: Element): void {
  const root = el.closest('.transcript');
  if (!root) return;
  const box = el.getBoundingClientRect();
  const view = root.getBoundingClientRect();
  root.scrollTop += box.top - view.top - Math.max(0, (view.height - box.height) / 2);
}

/** Whether its reader is about something in a row: that must not go with it. */
function isUsed(el: Element): boolean {
  if (el.contains(document.activeElement) || el.querySelector('[aria-expanded="true"]')) return true;
  const marked = getSelection();
  return marked !== null && !marked.isCollapsed && marked.containsNode(el, true);
}

interface Props {
  id: string;
  /** Undefined in a short transcript, all of which is drawn. */
  rows: Rows | undefined;
  /** Drawn wherever it is, as what is being written. */
  always: boolean;
  className?: string;
  children: ReactNode;
}

/** A row of the transcript. In a long one only those near what is in view are drawn; others keep their place. */
export function Row({ id, rows, always, className, children }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [state, setState] = useState({ near: always, height: guess });
  const here = !rows || always || state.near;

  useEffect(() => {
    if (!rows || !box.current) return;
    return rows.watch(id, box.current, (near, height) =>
      setState((now) => (now.near === near ? now : { near, height: near ? now.height : height })),
    );
  }, [rows, id]);

  return (
    <div
      ref={box}
      data-row={id}
      className={cx(className)}
      {...(!here && { style: { height: state.height }, 'aria-hidden': true })}
    >
      {here && children}
    </div>
  );
}
