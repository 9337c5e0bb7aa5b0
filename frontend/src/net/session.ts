import { ApiError, type Token } from './api';

const rememberKey = 'parley.user';

/** A token is renewed this long before it ends. */
const early = 60_000;

/** Nobody waits for a timer longer than this: a laptop may sleep through it. */
const longest = 2 ** 31 - 1;

interface Options {
  fetchToken(userId: string): Promise<Token>;
  storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
  now(): number;
}

/** Who is signed in. The token lives in memory only; who it was for survives a reload. */
export interface Session {
  remembered(): string | undefined;
  signIn(userId: string): Promise<void>;
  signOut(): void;
  /** A token that is good for a while; with renew, a new one. */
  token(renew?: boolean): Promise<string>;
  invalidate(): void;
  /** Tells of each token that replaces another of the same sign-in. */
  onRenewed(listener: (token: string) => void): () => void;
}

export function createSession(o: Options): Session {
  const listeners = new Set<(token: string) => void>();
  let user: string | undefined;
  let current: { token: string; expires: number } | undefined;
  let fetching: Promise<string> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function fetchNew(): Promise<string> {
    if (user === undefined) return Promise.reject(new ApiError('unauthenticated', 'Nobody is signed in.'));
    if (fetching) return fetching;
    const whose = user;
    const mine = o
      .fetchToken(whose)
      .then((t) => {
        if (user !== whose) throw new ApiError('unauthenticated', 'Somebody else has signed in.');
        const renewed = current !== undefined;
        current = { token: t.token, expires: Date.parse(t.expires_at) };
        plan(current.expires - early - o.now());
        if (renewed) for (const listener of listeners) listener(t.token);
        return t.token;
      })
      .finally(() => {
        if (fetching === mine) fetching = undefined;
      });
    fetching = mine;
    return mine;
  }

  function plan(wait: number) {
    clearTimeout(timer);
    timer = setTimeout(
      () => {
        // Without an answer it is tried again: the old token still has a while.
        fetchNew().catch(() => plan(10_000));
      },
      Math.min(longest, Math.max(1000, wait)),
    );
  }

  return {
    remembered() {
      try {
        return o.storage.getItem(rememberKey) ?? undefined;
      } catch {
        return undefined;
      }
    },

    async signIn(userId) {
      clearTimeout(timer);
      if (user !== userId) fetching = undefined;
      user = userId;
      current = undefined;
      try {
        await fetchNew();
      } catch (err) {
        if (user === userId) user = undefined;
        throw err;
      }
      try {
        o.storage.setItem(rememberKey, userId);
      } catch {
        // Without storage the next visit asks again.
      }
    },

    signOut() {
      clearTimeout(timer);
      user = undefined;
      current = undefined;
      fetching = undefined;
      try {
        o.storage.removeItem(rememberKey);
      } catch {
        // Nothing was kept.
      }
    },

    token(renew = false) {
      // A token in its last moments would end on the way.
      if (!renew && current && current.expires - o.now() > 5000) return Promise.resolve(current.token);
      return fetchNew();
    },

    invalidate() {
      current = undefined;
    },

    onRenewed(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
