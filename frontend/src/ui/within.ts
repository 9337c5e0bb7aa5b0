import type { MouseEvent } from 'react';

/** What a click on a link does that leads within the page; in a new tab or window it is the browser's. */
export function within(go: () => void): (e: MouseEvent) => void {
  return (e) => {
    if (e.metaKey || e.ctrlKey || e.shiftKey || e.button !== 0) return;
    e.preventDefault();
    go();
  };
}
