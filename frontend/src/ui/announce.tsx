import { createContext, use, useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';

import { OnTop } from './topLayer';

type Announce = (text: string) => void;

const Context = createContext<Announce>(() => undefined);

/** Says something to those who listen to the page instead of looking at it. */
export function useAnnounce(): Announce {
  return use(Context);
}

const pause = 3000;

/** Holds the one polite status line. It speaks at most once in three seconds and keeps to the newest. */
export function Announcer({ children }: { children: ReactNode }) {
  const [text, setText] = useState('');
  const next = useRef<string>(undefined);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);

  const say = useCallback(function speak(words: string) {
    if (timer.current !== undefined) {
      next.current = words;
      return;
    }
    setText(words);
    timer.current = setTimeout(() => {
      timer.current = undefined;
      const waiting = next.current;
      next.current = undefined;
      if (waiting !== undefined) speak(waiting);
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
