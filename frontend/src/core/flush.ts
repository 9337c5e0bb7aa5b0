/** The shortest time between two drawings of streaming text. */
export const flushEvery = 50;

export interface Flush {
  /** Something changed: draw at once if the last time is long enough ago, else when it is. */
  soon(): void;
  /** Draw now, with whatever is waiting. */
  now(): void;
  /** The page is visible again: catch up. */
  visible(): void;
}

/** Spaces out calls of draw; while the page is hidden there are none. */
export function createFlush(draw: () => void, clock: { now(): number; hidden(): boolean }): Flush {
  let last = -Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let dirty = false;

  function now() {
    clearTimeout(timer);
    timer = undefined;
    dirty = false;
    last = clock.now();
    draw();
  }

  function soon() {
    dirty = true;
    if (timer !== undefined || clock.hidden()) return;
    const wait = last + flushEvery - clock.now();
    if (wait <= 0) now();
    else {
      timer = setTimeout(now, wait);
    }
  }

  return {
    soon,
    now,
    visible() {
      if (dirty) now();
    },
  };
}
