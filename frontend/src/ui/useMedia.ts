import { useCallback, useSyncExternalStore } from 'react';

/** Whether a media query holds. Where there are none, it does not. */
export function useMedia(query: string): boolean {
  const subscribe = useCallback(
    (changed: () => void) => {
      if (typeof matchMedia !== 'function') return () => undefined;
      const list = matchMedia(query);
      list.addEventListener('change', changed);
      return () => list.removeEventListener('change', changed);
    },
    [query],
  );
  return useSyncExternalStore(subscribe, () => typeof matchMedia === 'function' && matchMedia(query).matches);
}

/** Whether the reader types with a finger, where Enter has to break the line. */
export const touch = '(pointer: coarse) and (hover: none)';
export const wide = '(min-width: 1200px)';
export const medium = '(min-width: 900px)';
