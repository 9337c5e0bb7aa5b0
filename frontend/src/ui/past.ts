import { createContext, use } from 'react';

/**
 * The instant that a replay shows, in ms since the epoch, or "now" at its end.
 * Below it everything can be read and nothing changed.
 */
export const Past = createContext<number | 'now' | undefined>(undefined);

export function usePast(): number | 'now' | undefined {
  return use(Past);
}
