import { useCallback, useEffect, useLayoutEffect, useRef, useState, type RefObject } from 'react';

/** How near the end a reader has to be for the page to follow what is written. */
const near = 64;

/** Whether the browser itself keeps what is read in place when something above grows. */
const anchors = typeof CSS !== 'undefined' && 'supports' in CSS && CSS.supports('overflow-anchor', 'auto');

interface Follow {
  /** The element that scrolls. */
  scroller: RefObject<HTMLDivElement | null>;
  /** The element whose height grows. */
  content: RefObject<HTMLDivElement | null>;
  /** Whether the end is kept in view. */
  following: boolean;
  toEnd: () => void;
}

/**
 * Keeps the end of the transcript in view as long as its reader wants that. Any
 * scroll upwards, by wheel, finger, key or bar, releases at once; coming back to
 * within 64 px of the end attaches again. firstKey is that of the oldest row: when
 * it changes, older rows came in above and the view stays on what it showed.
 */
export function useFollow(firstKey: string | undefined): Follow {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  const attached = useRef(true);
  const seen = useRef({ top: 0, height: 0, first: firstKey });

  const attach = useCallback((yes: boolean) => {
    attached.current = yes;
    setFollowing(yes);
  }, []);

  const jump = useCallback(() => {
    const el = scroller.current;
    if (el) el.scrollTop = el.scrollHeight;
  }, []);

  const toEnd = useCallback(() => {
    attach(true);
    jump();
  }, [attach, jump]);

  useLayoutEffect(() => {
    const el = scroller.current;
    if (!el) return;
    const last = seen.current;
    if (!attached.current && !anchors && last.first !== firstKey && el.scrollTop === last.top) {
      el.scrollTop += el.scrollHeight - last.height;
    }
    seen.current = { top: el.scrollTop, height: el.scrollHeight, first: firstKey };
  }, [firstKey]);

  useEffect(() => {
    const el = scroller.current;
    const inner = content.current;
    if (!el || !inner) return;

    const release = () => {
      if (attached.current && el.scrollHeight > el.clientHeight) attach(false);
    };
    const scroll = () => {
      const distance = el.scrollHeight - el.clientHeight - el.scrollTop;
      const { top, height } = seen.current;
      const moved = el.scrollTop - top;
      // A shorter content moves the view by itself; only the reader moves it up otherwise.
      if (moved < 0 && el.scrollHeight >= height && distance > 1) release();
      else if (moved > 0 && distance <= near && !attached.current) attach(true);
      seen.current = { ...seen.current, top: el.scrollTop, height: el.scrollHeight };
    };
    const wheel = (e: WheelEvent) => {
      if (e.deltaY < 0) release();
    };
    let finger = 0;
    const touchStart = (e: TouchEvent) => {
      finger = e.touches[0]?.clientY ?? 0;
    };
    const touchMove = (e: TouchEvent) => {
      const y = e.touches[0]?.clientY ?? 0;
      if (y > finger) release();
      finger = y;
    };
    const key = (e: KeyboardEvent) => {
      if (e.key === 'PageUp' || e.key === 'Home' || e.key === 'ArrowUp') release();
    };

    el.addEventListener('scroll', scroll, { passive: true });
    el.addEventListener('wheel', wheel, { passive: true });
    el.addEventListener('touchstart', touchStart, { passive: true });
    el.addEventListener('touchmove', touchMove, { passive: true });
    el.addEventListener('keydown', key);
    const sizes =
      typeof ResizeObserver === 'undefined'
        ? undefined
        : new ResizeObserver(() => {
            if (attached.current) jump();
          });
    sizes?.observe(inner);
    sizes?.observe(el);
    return () => {
      el.removeEventListener('scroll', scroll);
      el.removeEventListener('wheel', wheel);
      el.removeEventListener('touchstart', touchStart);
      el.removeEventListener('touchmove', touchMove);
      el.removeEventListener('keydown', key);
      sizes?.disconnect();
    };
  }, [attach, jump]);

  return { scroller, content, following, toEnd };
}
