/** A tab of some browser, as far as a smoke test looks into it. */
export interface Tab {
  open(url: string): Promise<void>;
  reload(): Promise<void>;
  /** Clicks on an element and types, key by key. */
  write(selector: string, text: string): Promise<void>;
  press(key: keyof typeof keys): Promise<void>;
  click(selector: string): Promise<void>;
  /**
   * Waits until `look`, run in the page, finds something, and returns that. It
   * looks again whenever the page changes.
   */
  until<A, T>(look: (arg: A) => T | undefined, arg: A): Promise<T>;
}

/** A browser that was started for a test. */
export interface Engine {
  /** What it says it is. */
  version: string;
  tab: Tab;
  /** What the browser has complained about since it was asked last. */
  problems(): Promise<string[]>;
  close(): Promise<void>;
}

/** How WebDriver writes keys that have no letter (https://www.w3.org/TR/webdriver2/#keyboard-actions). */
export const keys = { Enter: '\uE007', Escape: '\uE00C' };

/** How long a tab waits before a test fails. */
export const patience = 30_000;

/** What comes of watching a page. */
export type Seen<T> = { it: T } | { instead: string };

/**
 * Runs in the page: calls back with what `look` finds, as soon as it does, or
 * with what the page says instead. It goes there as text, and so does `look`:
 * neither may name anything outside itself.
 */
export function watch<A, T>(look: (arg: A) => T | undefined, arg: A, ms: number, seen: (s: Seen<T>) => void): void {
  const check = () => {
    const it = look(arg);
    if (it === undefined) return;
    observer.disconnect();
    clearTimeout(timer);
    seen({ it });
  };
  const timer = setTimeout(() => {
    observer.disconnect();
    seen({ instead: document.body.innerText });
  }, ms);
  const observer = new MutationObserver(check);
  observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  check();
}

/** What was waited for, or an error that shows the page. */
export function found<T>(seen: Seen<T>, look: (arg: never) => unknown): T {
  if ('it' in seen) return seen.it;
  throw new Error(`not there after ${patience / 1000} s: ${look.toString()}\n\nbut this:\n${seen.instead}`);
}
