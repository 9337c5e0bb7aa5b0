import { createContext, use, useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';

import { OnTop } from './topLayer';

type Announce = (text: string) => void;

const Context = createContext<Announce>(() => undefined);

/** Says something to those who listen to the page instead of looking at it. */
export function useAnnounce(): Announce {
  return use(Context);
}

const pause = 3000;

/** How much of what came meanwhile is said at once. */
const atOnce = 3;

/** Holds the one polite status line. It speaks at most once in three seconds, and then says the newest of what came meanwhile. */
export function Announcer({ children }: { children: ReactNode }) {
  const [text, setText] = useState('');
  const next = useRef<string[]>([]);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);

  const say = useCallback(function speak(words: string) {
    if (timer.current !== undefined) {
      next.current = [...next.current, words].slice(-atOnce);
      return;
    }
    setText(words);
    timer.current = setTimeout(() => {
      timer.current = undefined;
      const waiting = next.current;
      next.current = [];
      if (waiting.length > 0) speak(waiting.join('. '));
    }, pause);
  }, []);

  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );

  return (
    <Context value={useMemo(() => say, [say])}>
      {children}
      <OnTop>
        <p role="status" aria-live="polite" className="sr-only">
          {text}
        </p>
      </OnTop>
    </Context>
  );
}
