import { createFlush } from './flush';
import type { Deps } from './ports';
import type { AppState, Toast } from './state';

export type Patch = { [K in keyof AppState]?: AppState[K] | undefined };

/**
 * The state that the parts of the store change, and the one that readers see.
 * What a person does shows at once; what the socket brings may wait for its turn.
 */
export interface Kernel {
  readonly deps: Deps;
  /** The newest state. */
  readonly state: AppState;
  /** What readers see. */
  readonly published: AppState;
  /** Replaces members, undefined removes one; nobody is told yet. */
  merge(p: Patch): void;
  /** Replaces members and tells everybody. */
  patch(p: Patch): void;
  /** Tells everybody when it is time to draw again. */
  soon(): void;
  /** The same for text that nobody needs while the page is hidden. */
  soonIfSeen(): void;
  /** Runs f before each publication, to merge what is put together late. */
  beforePublish(f: () => void): void;
  /** The page is visible again. */
  visible(): void;
  subscribe(listener: () => void): () => void;
  toast(kind: Toast['kind'], text: string, action?: Toast['action']): string;
  dismissToast(id: string): void;
}

const toastTime = { info: 4000, error: 8000, undo: 10000 } as const;

export function createKernel(deps: Deps, initial: AppState): Kernel {
  const listeners = new Set<() => void>();
  const late: (() => void)[] = [];
  let state = initial;
  let published = initial;

  const flush = createFlush(() => {
    for (const f of late) f();
    if (published === state) return;
    published = state;
    for (const listener of [...listeners]) listener();
  }, deps);

  const kernel: Kernel = {
    deps,
    get state() {
      return state;
    },
    get published() {
      return published;
    },
    merge(p) {
      const next = { ...state, ...p } as AppState;
      for (const key of Object.keys(p) as (keyof Patch)[]) {
        if (p[key] === undefined) Reflect.deleteProperty(next, key);
      }
      state = next;
    },
    patch(p) {
      kernel.merge(p);
      flush.now();
    },
    soon: () => (deps.hidden() ? flush.now() : flush.soon()),
    soonIfSeen: () => flush.soon(),
    beforePublish: (f) => void late.push(f),
    visible: () => flush.visible(),
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    toast(kind, text, action) {
      const id = deps.newId();
      const toast: Toast = { id, kind, text, expiresAt: deps.now() + toastTime[kind], ...(action && { action }) };
      kernel.patch({ toasts: [...state.toasts, toast] });
      setTimeout(() => kernel.dismissToast(id), toastTime[kind]);
      return id;
    },
    dismissToast(id) {
      if (state.toasts.some((t) => t.id === id)) kernel.patch({ toasts: state.toasts.filter((t) => t.id !== id) });
    },
  };
  return kernel;
}
