import { createContext, use, useRef, useSyncExternalStore, type ReactNode } from 'react';

import type { Actions, AppState, Store } from './state';

const Context = createContext<Store | undefined>(undefined);

export function StoreProvider({ store, children }: { store: Store; children: ReactNode }) {
  return <Context value={store}>{children}</Context>;
}

export function useStoreObject(): Store {
  const store = use(Context);
  if (!store) throw new Error('no StoreProvider around this component');
  return store;
}

export function useActions(): Actions {
  return useStoreObject().actions;
}

interface Memo<T> {
  state: AppState;
  selector: (state: AppState) => T;
  value: T;
}

/**
 * Draws from the store. The component renders again only when the selected value
 * is another one by equal; a selector that builds objects needs an equal that
 * looks into them, such as shallow.
 */
export function useStore<T>(selector: (state: AppState) => T, equal: (a: T, b: T) => boolean = Object.is): T {
  const store = useStoreObject();
  const memo = useRef<Memo<T>>(undefined);
  const select = () => {
    const state = store.getState();
    const last = memo.current;
    if (last?.state === state && last.selector === selector) return last.value;
    const next = selector(state);
    const value = last && equal(last.value, next) ? last.value : next;
    memo.current = { state, selector, value };
    return value;
  };
  return useSyncExternalStore(store.subscribe, select);
}

/** Equality of objects and arrays by their members. */
export function shallow<T>(a: T, b: T): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const keys = Object.keys(a) as (keyof T)[];
  return keys.length === Object.keys(b).length && keys.every((k) => Object.is(a[k], b[k]));
}
