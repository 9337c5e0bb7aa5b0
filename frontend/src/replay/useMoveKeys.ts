import { useEffect, useRef } from 'react';

import { singleKeys } from '../ui/prefs';
import type { Move } from './Player';

interface Does {
  move: (m: Move) => void;
  play: () => void;
}

const typing = 'input, textarea, select, [contenteditable]';
const overlay = 'dialog[open], [role="menu"]';

/** The keys of a replay, wherever the focus is, except where they have a meaning of their own. */
export function useMoveKeys(does: Does): void {
  const latest = useRef(does);
  useEffect(() => {
    latest.current = does;
  });
  useEffect(() => {
    const key = (e: KeyboardEvent) => {
      if (e.defaultPrevented || e.isComposing || e.ctrlKey || e.metaKey || e.altKey) return;
      const on = e.target instanceof Element ? e.target : document.body;
      // On the slider they are the slider's.
      if (!singleKeys() && !on.closest('[role="slider"]')) return;
      if (on.closest(typing) || document.querySelector(overlay)) return;
      // Left is back in time where one reads from the left.
      const rtl = getComputedStyle(document.documentElement).direction === 'rtl';
      const back = rtl ? 'ArrowRight' : 'ArrowLeft';
      const ahead = rtl ? 'ArrowLeft' : 'ArrowRight';
      if (e.key === ' ') {
        // A button under the focus has the first claim on it.
        if (e.shiftKey || on.closest('button, a, summary, [role="tab"]')) return;
        latest.current.play();
      } else if (e.key === back || e.key === ahead) {
        // Shift and an arrow may be extending a selection.
        if (e.shiftKey && getSelection()?.type === 'Range') return;
        // Code that is wider than its box is scrolled with them.
        const box = on.closest('pre');
        if (box && box.scrollWidth > box.clientWidth) return;
        latest.current.move(
          e.key === back ? (e.shiftKey ? 'previousCall' : 'previous') : e.shiftKey ? 'nextCall' : 'next',
        );
      } else if (e.key === 'Home' && !e.shiftKey) latest.current.move('first');
      else if (e.key === 'End' && !e.shiftKey) latest.current.move('now');
      else return;
      e.preventDefault();
    };
    document.addEventListener('keydown', key);
    return () => document.removeEventListener('keydown', key);
  }, []);
}
