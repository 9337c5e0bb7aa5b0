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

/**
 * Spaces out the drawings of text; while the page is hidden there are none. What is
 * drawn now does not put off the text that comes right after it: the first words of
 * an answer often follow its commit within a millisecond.
 */
export function createFlush(draw: () => void, clock: { now(): number; hidden(): boolean }): Flush {
  let last = -Infinity; // when text was drawn
  let timer: ReturnType<typeof setTimeout> | undefined;
  let dirty = false;

  function now() {
    clearTimeout(timer);
    timer = undefined;
    dirty = false;
    draw();
  }

  function text() {
    last = clock.now();
    now();
  }

  function soon() {
    dirty = true;
    if (timer !== undefined || clock.hidden()) return;
    const wait = last + flushEvery - clock.now();
    if (wait <= 0) text();
    else timer = setTimeout(text, wait);
  }

  return {
    soon,
    now,
    visible() {
      if (dirty) now();
    },
  };
}
