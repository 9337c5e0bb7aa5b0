import { useEffect, useState } from 'react';

/** The time, told again every so many ms; not at all for 0. */
export function useNow(every: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (every === 0) return;
    const first = requestAnimationFrame(() => setNow(Date.now()));
    const timer = setInterval(() => setNow(Date.now()), every);
    return () => {
      cancelAnimationFrame(first);
      clearInterval(timer);
    };
  }, [every]);
  return now;
}
