import { en } from '../../src/i18n/en';
import type { Deps, Session } from '../../src/core/ports';
import type { Store } from '../../src/core/state';
import { createStore } from '../../src/core/store';
import { Server } from './server';

/** Keeps strings, as a browser's storage does. */
export class Memory implements Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> {
  readonly items = new Map<string, string>();
  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.items.set(key, value);
  }
  removeItem(key: string): void {
    this.items.delete(key);
  }
}

export interface Page {
  server: Server;
  store: Store;
  storage: Memory;
  session: { user: string | undefined; refuse?: Error; invalidated: number; end: () => void };
  look: { hidden: boolean };
}

let ids = 0;

/** A store on a server in memory. Fake timers must be on. */
export function page(server = new Server(), more: { storage?: Memory; remembered?: string } = {}): Page {
  const storage = more.storage ?? new Memory();
  const session: Page['session'] = { user: more.remembered, invalidated: 0, end: () => undefined };
  const who: Session = {
    remembered: () => session.user,
    signIn: async (user) => {
      await Promise.resolve();
      if (session.refuse) throw session.refuse;
      session.user = user;
    },
    signOut: () => {
      session.user = undefined;
    },
    invalidate: () => {
      session.invalidated++;
    },
    onEnded: (listener) => {
      session.end = listener;
      return () => undefined;
    },
  };
  const look = { hidden: false };
  const deps: Deps = {
    api: server.api,
    session: who,
    connect: server.connect,
    newId: () => `id${++ids}`,
    now: () => Date.now(),
    hidden: () => look.hidden,
    texts: en.toasts,
    timezone: () => 'Europe/Paris',
    storage,
  };
  return { server, store: createStore(deps), storage, session, look };
}

/** Lets everything that is ready happen, and the next drawing. */
export async function settle(ms = 60): Promise<void> {
  await jest.advanceTimersByTimeAsync(ms);
}

/** A page whose person is signed in and whose socket is up. */
export async function signedIn(server = new Server(), more: { storage?: Memory } = {}): Promise<Page> {
  const p = page(server, { ...more, remembered: server.user });
  await p.store.start();
  await settle();
  return p;
}
