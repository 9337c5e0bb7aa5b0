import { useCallback, useEffect, useRef, useState, type RefObject } from 'react';

/** How near the end a reader has to be for the page to follow what is written. */
const near = 64;

/** What a question that is kept at the top has above it. */
const above = 16;

/** For how long after it was opened a transcript may still be finding its height, in ms. */
const settling = 1000;

interface Follow {
  /** The element that scrolls. */
  scroller: RefObject<HTMLDivElement | null>;
  /** The element whose height grows. */
  content: RefObject<HTMLDivElement | null>;
  /** Whether the end is in view and will be. */
  following: boolean;
  /** Whether the newest row needs room for its question to stand at the top. */
  room: boolean;
  toEnd: () => void;
  /** The reader sends something: shows the end, or the question at the top once it is there. */
  sent: () => void;
  /** Goes elsewhere by a function that scrolls there: what is written from now on is not followed. */
  visit: (scroll: () => void) => void;
  /** Draws something at once, leaving what is read in its place whatever that does to the heights above it. */
  still: (draw: () => void) => void;
}

/**
 * Keeps the end of the transcript in view as long as its reader wants that. Any scroll upwards, by wheel, finger, key
 * or bar, releases at once; coming back to within 64 px of the end attaches again. What the reader opens or folds
 * stays where it was pressed. Once released, whatever grows or comes above leaves what is read in its place.
 *
 * With keepQuestion nothing is followed: what one sends goes to the top, and the answer is written below it; justSent
 * says that a transcript begins with such a message.
 */
export function useFollow(keepQuestion: boolean, justSent: boolean): Follow {
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  const [room, setRoom] = useState(keepQuestion && justSent);
  const attached = useRef(true);
  /** Whether the reader has done something: from then on a question that is kept at the top decides what is in view. */
  const acted = useRef(room);
  /** Remembers what is in view, and where. */
  const look = useRef<() => void>(undefined);
  const keeping = useRef<(draw: () => void) => void>(undefined);
  /** The newest message when one was sent: the next newest goes to the top. */
  const asked = useRef<{ after: string | undefined }>(room ? { after: undefined } : undefined);

  const attach = useCallback((yes: boolean) => {
    attached.current = yes;
    setFollowing(yes);
  }, []);

  const leave = useCallback(() => {
    asked.current = undefined;
    acted.current = true;
    attached.current = false;
  }, []);

  const visit = useCallback(
    (scroll: () => void) => {
      leave();
      scroll();
      // Before anything changes its size: it would be taken for what moved the view.
      look.current?.();
    },
    [leave],
  );

  const still = useCallback((draw: () => void) => {
    if (keeping.current) keeping.current(draw);
    else draw();
  }, []);

  const release = useCallback(() => {
    const el = scroller.current;
    if (!el || el.scrollHeight <= el.clientHeight) return;
    leave();
    setFollowing(false);
  }, [leave]);

  const toEnd = useCallback(() => {
    const el = scroller.current;
    attach(true);
    if (el) el.scrollTop = el.scrollHeight;
  }, [attach]);

  const sent = useCallback(() => {
    if (!keepQuestion) {
      toEnd();
      return;
    }
    acted.current = true;
    asked.current = { after: newest(content.current)?.dataset.message };
    setRoom(true);
  }, [keepQuestion, toEnd]);

  useEffect(() => {
    const el = scroller.current;
    const inner = content.current;
    if (!el || !inner) return;
    const openedAt = performance.now();
    const seen = { top: el.scrollTop, height: el.scrollHeight };
    /** What stands at the top of the view, and where. */
    let mark: { on: Element; top: number } | undefined;
    /** Set while what grows or shrinks does so because the reader has pressed something. */
    let pressed = false;

    const distance = () => el.scrollHeight - el.clientHeight - el.scrollTop;
    const opening = () => !acted.current && performance.now() - openedAt < settling;
    const follows = () => attached.current && (!keepQuestion || opening());

    const lookNow = () => {
      seen.top = el.scrollTop;
      seen.height = el.scrollHeight;
      mark = attached.current ? undefined : topOf(el, inner);
    };

    /** Leaves what is read in its place. Browsers that can have done so already; none does at the very top. */
    const keep = () => {
      const moved = mark?.on.isConnected ? mark.on.getBoundingClientRect().top - mark.top : 0;
      if (!attached.current && moved !== 0) el.scrollTop += moved;
    };

    const scroll = () => {
      const moved = el.scrollTop - seen.top;
      // A shorter content moves the view by itself; only the reader moves it up otherwise.
      if (moved < 0 && el.scrollHeight >= seen.height && distance() > 1) release();
      else if (moved > 0 && distance() <= near && !attached.current) attach(true);
      lookNow();
    };

    const resized = () => {
      const question = asked.current && newest(inner);
      if (question && question.dataset.message !== asked.current?.after) {
        asked.current = undefined;
        attach(false);
        el.scrollTop += question.getBoundingClientRect().top - el.getBoundingClientRect().top - above;
        setFollowing(distance() <= near);
      } else if (pressed) {
        pressed = false;
        keep();
        attach(distance() <= near);
      } else if (follows()) {
        el.scrollTop = el.scrollHeight;
      } else {
        keep();
        if (keepQuestion) attach(distance() <= near);
        else setFollowing(distance() <= 1);
      }
      lookNow();
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
      if (e.key === 'PageUp' || e.key === 'Home' || e.key === 'ArrowUp' || (e.key === ' ' && e.shiftKey)) release();
    };
    const press = () => {
      pressed = true;
      // Two frames from now whatever it changes has its size.
      requestAnimationFrame(() =>
        requestAnimationFrame(() => {
          pressed = false;
        }),
      );
    };

    look.current = lookNow;
    keeping.current = (draw) => {
      if (!mark) lookNow();
      draw();
      keep();
      lookNow();
    };
    el.addEventListener('scroll', scroll, { passive: true });
    el.addEventListener('wheel', wheel, { passive: true });
    el.addEventListener('touchstart', touchStart, { passive: true });
    el.addEventListener('touchmove', touchMove, { passive: true });
    el.addEventListener('keydown', key);
    inner.addEventListener('click', press);
    const sizes = typeof ResizeObserver === 'undefined' ? undefined : new ResizeObserver(resized);
    sizes?.observe(inner);
    sizes?.observe(el);
    return () => {
      el.removeEventListener('scroll', scroll);
      el.removeEventListener('wheel', wheel);
      el.removeEventListener('touchstart', touchStart);
      el.removeEventListener('touchmove', touchMove);
      el.removeEventListener('keydown', key);
      inner.removeEventListener('click', press);
      sizes?.disconnect();
    };
  }, [attach, keepQuestion, release]);

  return { scroller, content, following, room, toEnd, sent, visit, still };
}

/** The newest message of the person. */
function newest(content: HTMLElement | null): HTMLElement | undefined {
  return content ? [...content.querySelectorAll<HTMLElement>('[data-message]')].at(-1) : undefined;
}

/**
 * The first piece of a message in view: where it stands tells whether anything above it has changed. The place of a
 * message that has not been drawn yet is second best, for its own height may change.
 */
function topOf(scroller: HTMLElement, content: HTMLElement): { on: Element; top: number } | undefined {
  const box = scroller.getBoundingClientRect();
  let place: Element | undefined;
  for (let y = box.top + 8; y < box.bottom; y += 32) {
    const on = document.elementFromPoint(box.left + box.width / 2, y);
    if (!on || !content.contains(on)) continue;
    if (on.closest('article')) return { on, top: on.getBoundingClientRect().top };
    place ??= on.closest('[data-row]') ?? undefined;
  }
  return place && { on: place, top: place.getBoundingClientRect().top };
}
