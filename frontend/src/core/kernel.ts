import { errorInfo } from './errors';
import { createFlush } from './flush';
import type { Deps } from './ports';
import type { AppState, ErrorInfo, Toast } from './state';

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
  toast(kind: Toast['kind'], text: string, action?: Toast['action'], error?: ErrorInfo): string;
  /** Tells the reader of an error. */
  fail(err: unknown): void;
  dismissToast(id: string): void;
}

/** An error takes longer to read, and its reference to copy. */
const toastTime = { info: 4000, error: 15000, undo: 10000 } as const;

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
    toast(kind, text, action, error) {
      const id = deps.newId();
      const expiresAt = deps.now() + toastTime[kind];
      const toast: Toast = { id, kind, text, expiresAt, ...(action && { action }), ...(error && { error }) };
      kernel.patch({ toasts: [...state.toasts, toast] });
      setTimeout(() => kernel.dismissToast(id), toastTime[kind]);
      return id;
    },
    fail(err) {
      const error = errorInfo(err);
      kernel.toast('error', error.message, undefined, error);
    },
    dismissToast(id) {
      if (state.toasts.some((t) => t.id === id)) kernel.patch({ toasts: state.toasts.filter((t) => t.id !== id) });
    },
  };
  return kernel;
}
