import { useEffect, useState, useSyncExternalStore } from 'react';

/** Calls f every so many ms while somebody can see the page, and when that begins again. */
function tick(f: () => void, every: number): () => void {
  const seen = () => {
    if (document.visibilityState !== 'hidden') f();
  };
  const timer = setInterval(seen, every);
  document.addEventListener('visibilitychange', seen);
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', seen);
  };
}

import { usePast } from './past';

/** The time, told again every so many ms; not at all for 0. What shows the past keeps to its time. */
export function useNow(every: number): number {
  const past = usePast();
  const still = every === 0 || typeof past === 'number';
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (still) return;
    const first = requestAnimationFrame(() => setNow(Date.now()));
    const stop = tick(() => setNow(Date.now()), every);
    return () => {
      cancelAnimationFrame(first);
      stop();
    };
  }, [every, still]);
  return typeof past === 'number' ? past : now;
}

const minute = 60_000;
const listeners = new Set<() => void>();
let stop: (() => void) | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  stop ??= tick(() => {
    for (const f of listeners) f();
  }, minute);
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    stop?.();
    stop = undefined;
  };
}

/** The time to the minute, from one clock for everything that shows it. */
export function useMinute(): number {
  return useSyncExternalStore(subscribe, () => Math.floor(Date.now() / minute) * minute);
}
