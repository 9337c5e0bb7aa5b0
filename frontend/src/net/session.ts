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
  /** The server took no token, however new: the sign-in is over. */
  refused(): void;
  /** Tells of each token that replaces another of the same sign-in. */
  onRenewed(listener: (token: string) => void): () => void;
  /** Tells that a sign-in has ended without its person having wanted that. */
  onEnded(listener: () => void): () => void;
}

export function createSession(o: Options): Session {
  const listeners = new Set<(token: string) => void>();
  const enders = new Set<() => void>();
  let user: string | undefined;
  let current: { token: string; expires: number } | undefined;
  /** Whether there has been a token of this sign-in. */
  let begun = false;
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
        const renewed = begun;
        begun = true;
        current = { token: t.token, expires: Date.parse(t.expires_at) };
        plan(current.expires - early - o.now());
        if (renewed) for (const listener of listeners) listener(t.token);
        return t.token;
      })
      .catch((err: unknown) => {
        // An issuer that is away may be back in a moment; one that says no has said so.
        if (user === whose && begun && isRefusal(err)) end();
        throw err;
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
        fetchNew().catch(() => {
          if (begun) plan(10_000);
        });
      },
      Math.min(longest, Math.max(1000, wait)),
    );
  }

  function end() {
    clearTimeout(timer);
    current = undefined;
    begun = false;
    user = undefined;
    fetching = undefined;
    for (const listener of enders) listener();
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
      begun = false;
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
      begun = false;
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

    refused() {
      if (begun) end();
    },

    onRenewed(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },

    onEnded(listener) {
      enders.add(listener);
      return () => void enders.delete(listener);
    },
  };
}

function isRefusal(err: unknown): boolean {
  return err instanceof ApiError && (err.status === 401 || err.status === 403 || err.status === 404);
}
