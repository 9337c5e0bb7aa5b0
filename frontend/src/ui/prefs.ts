import { useSyncExternalStore } from 'react';

const prefix = 'parley.view.';
const listeners = new Set<() => void>();

/** A choice about how the page looks, kept on this device. */
export function loadChoice(key: string): string | undefined {
  try {
    return localStorage.getItem(prefix + key) ?? undefined;
  } catch {
    return undefined;
  }
}

export function saveChoice(key: string, value: string): void {
  try {
    localStorage.setItem(prefix + key, value);
  } catch {
    // The choice holds until the page is closed.
  }
  for (const listener of listeners) listener();
}

/** Whether keys act alone, without Ctrl or Alt. Speech and other input may press them by accident. */
export function singleKeys(): boolean {
  return loadChoice('keys') !== 'off';
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** A choice that may be made elsewhere on the page. */
export function useChoice(key: string): string | undefined {
  return useSyncExternalStore(subscribe, () => loadChoice(key));
}
