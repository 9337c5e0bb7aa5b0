import type { Conversation, ServerFrame } from '../protocol/types';
import { errorInfo, isPassing } from './errors';
import { emptyConversation, fit, fold, withOlder, withRunsOf } from './fold';
import type { Kernel } from './kernel';
import type { Link } from './link';
import { path } from './path';
import type { LiveDraft, OpenConversation } from './state';
import { Stream } from './stream';

type Frame<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>;

/** The conversation on screen, kept in step with the log. */
export interface Following {
  open(id: string | undefined): void;
  /** A new conversation on screen has been given its id: its commits follow from the first. */
  adopt(id: string): void;
  loadOlder(limit?: number): Promise<void>;
  /** Reads every branch of the open conversation, if it has at most so many commits. */
  loadWhole(upTo: number): Promise<void>;
  frame(f: Frame<'commit' | 'live' | 'delta' | 'snapshot'>): void;
  /** An error that names a conversation and no command. */
  failed(f: Frame<'error'>): void;
  online(): void;
  offline(): void;
  /** Something may be missing: read again from what is here. */
  resume(): void;
  clear(): void;
}

interface Events {
  /** A state has come, or a commit has changed it. */
  changed(state: Conversation): void;
  commit(f: Frame<'commit'>): void;
  left(): void;
}

/** How many conversations that were on screen are remembered, to show them at once. */
const remembered = 8;
/** Up to this n the branches that the first page leaves out are read as well. */
const branchesUpTo = 500;
const branchesAfter = 1500;
/** After how many vain tries from one place its person is told that something cannot be read. */
const vain = 5;
/** After so many ms without another try, the next one is the first again. */
const calm = 60_000;

const notStuck = { n: -1, times: 0, at: 0 };

export function createFollowing(k: Kernel, link: Link, userId: () => string | undefined, events: Events): Following {
  const cache = new Map<string, Conversation>();
  /** Conversations here with all their branches; commits keep them so. */
  const whole = new Set<string>();
  const stream = new Stream();
  let shown: LiveDraft | undefined;
  /** Grows with every change of what is on screen, so that a late answer finds nobody. */
  let turn = 0;
  let failures = 0;
  let loadingOlder: Promise<void> | undefined;
  /** The turn in which the first page is being read. */
  let loading = -1;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let branches: ReturnType<typeof setTimeout> | undefined;
  /** Whether "subscribe" is out and "live" has not come. */
  let resuming = false;
  /** The n from which the page read again last, and how often without getting on. */
  let stuck = notStuck;

  const ready = () => {
    const open = k.state.open;
    return open && open.state.user_id !== '' ? open : undefined;
  };

  function set(p: Partial<OpenConversation>, drop?: 'error') {
    const open = k.state.open;
    if (!open) return;
    const next = { ...open, ...p };
    if (drop) delete next.error;
    k.merge({ open: next });
  }

  // Streaming text becomes part of the state only when it is drawn.
  k.beforePublish(() => {
    const open = k.state.open;
    if (!open) return;
    const run = open.state.runs.findLast((r) => r.run_id === stream.runId);
    if (!stream.shows(run) || stream.text === '') {
      if (!open.draft) return;
      const { draft: _, ...rest } = open;
      shown = undefined;
      k.merge({ open: rest });
      return;
    }
    const { runId, step, attempt, text } = stream;
    if (
      open.draft &&
      open.draft === shown &&
      shown.text === text &&
      shown.runId === runId &&
      shown.step === step &&
      shown.attempt === attempt
    ) {
      return;
    }
    shown = { runId, step, attempt, text };
    k.merge({ open: { ...open, draft: shown } });
  });

  function leave() {
    turn++;
    clearTimeout(retry);
    retry = undefined;
    clearTimeout(branches);
    const open = ready();
    if (open) {
      cache.delete(open.id);
      cache.set(open.id, open.state);
      for (const id of cache.keys()) {
        if (cache.size <= remembered) break;
        cache.delete(id);
      }
    }
    if (k.state.open) link.send({ type: 'unsubscribe', conversation_id: k.state.open.id });
    stream.clear();
    resuming = false;
    failures = 0;
    stuck = notStuck;
    loadingOlder = undefined;
    events.left();
  }

  function subscribe() {
    const open = ready();
    if (!open) return;
    resuming = link.send({ type: 'subscribe', conversation_id: open.id, after: open.state.n });
    if (open.status !== 'catching-up' && open.status !== 'loading') set({ status: 'catching-up' });
  }

  /** The first page of the conversation, then everything after it. */
  async function load(id: string) {
    const user = userId();
    if (user === undefined || loading === turn) return;
    const mine = turn;
    loading = mine;
    whole.delete(id);
    try {
      const base = await k.deps.api.messages(user, id);
      if (mine !== turn) return;
      failures = 0;
      set({ state: base, status: 'catching-up' }, 'error');
      events.changed(base);
      k.patch({});
      subscribe();
    } catch (err) {
      if (mine !== turn) return;
      const error = errorInfo(err);
      if (error.code === 'not_found') {
        set({ status: 'not-found', error });
      } else {
        set({ status: 'error', error });
        if (isPassing(error.code)) retryLater(() => void load(id));
      }
      k.patch({});
    } finally {
      if (loading === mine) loading = -1;
    }
  }

  function retryLater(f: () => void) {
    clearTimeout(retry);
    retry = setTimeout(
      () => {
        retry = undefined;
        f();
      },
      Math.min(15_000, 1000 * 2 ** failures++),
    );
  }

  /**
   * Something may be missing: reads again from what is here, at once the first
   * times, then ever more slowly. What cannot be read stays so, and asking for it
   * as fast as the server answers would help nobody.
   */
  function resume() {
    const open = ready();
    if (!open || (stuck.times >= 2 && retry !== undefined)) return;
    const { n } = open.state;
    const at = k.deps.now();
    stuck = { n, times: n === stuck.n && at - stuck.at < calm ? stuck.times + 1 : 0, at };
    if (stuck.times < 2) {
      subscribe();
      return;
    }
    failures = stuck.times - 2;
    set({
      status: 'catching-up',
      ...(stuck.times >= vain && { error: { code: 'unreadable', message: '' } }),
    });
    k.soon();
    retryLater(subscribe);
  }

  /** Reads the whole of a short conversation for the branches that a first page leaves out. */
  function loadBranches() {
    clearTimeout(branches);
    branches = setTimeout(() => {
      self.loadWhole(branchesUpTo).catch(() => undefined); // the branch that is shown is complete without them
    }, branchesAfter);
  }

  async function readOlder(limit?: number) {
    const open = ready();
    const user = userId();
    const first = open && path(open.state)[0];
    if (!first || user === undefined || !open.state.has_more) return;
    const mine = turn;
    try {
      const older = await k.deps.api.messages(user, open.id, {
        before: first.run_id,
        ...(limit !== undefined && { limit }),
      });
      const now = ready();
      if (mine !== turn || !now) return;
      set({ state: withOlder(now.state, older) });
      k.patch({});
    } catch (err) {
      if (mine === turn) k.fail(err);
    } finally {
      if (mine === turn) loadingOlder = undefined;
    }
  }

  const self: Following = {
    open(id) {
      const user = userId();
      if (id === k.state.open?.id) {
        if (id !== undefined && user !== undefined && k.state.open?.status === 'loading') void load(id);
        return;
      }
      leave();
      if (id === undefined) {
        k.patch({ open: undefined, newChat: k.deps.newId() });
        return;
      }
      const known = cache.get(id);
      const state = known ?? emptyConversation('', id);
      k.patch({ open: { id, status: known ? 'catching-up' : 'loading', state } });
      if (known) {
        events.changed(known);
        subscribe();
      } else void load(id);
    },

    adopt(id) {
      const user = userId();
      if (user === undefined || k.state.open) return;
      turn++;
      // The socket follows a conversation to which it sends a message.
      resuming = true;
      whole.add(id);
      k.patch({ open: { id, status: 'live', state: emptyConversation(user, id) } });
    },

    loadOlder: (limit) => (loadingOlder ??= readOlder(limit)),

    async loadWhole(upTo) {
      const mine = turn;
      const user = userId();
      const open = ready();
      if (!open || user === undefined || whole.has(open.id) || open.state.n > upTo) return;
      let all = emptyConversation(user, open.id);
      for (let more = true; more;) {
        const page = await k.deps.api.events(user, open.id, all.n);
        if (mine !== turn) return;
        for (const c of page.data) if (fit(all, c) === 'next') all = fold(all, c);
        more = page.has_more && page.data.length > 0;
      }
      const now = ready();
      if (!now) return;
      whole.add(open.id);
      const state = withRunsOf(now.state, all);
      if (state === now.state) return;
      // Everything is here now: there is nothing older to ask for.
      const { has_more: _, ...rest } = state;
      set({ state: rest });
      k.patch({});
    },

    frame(f) {
      const open = ready();
      if (open?.id !== f.conversation_id) return;
      switch (f.type) {
        case 'commit':
          switch (fit(open.state, f.commit)) {
            case 'next': {
              const state = fold(open.state, f.commit);
              set({ state }, stuck.times >= vain ? 'error' : undefined);
              events.commit(f);
              events.changed(state);
              k.soon();
              return;
            }
            case 'gap':
              if (!resuming) resume();
              return;
            case 'old':
            case 'foreign':
              return;
          }
          return;
        case 'live':
          resuming = false;
          if (f.n > open.state.n) {
            resume();
            return;
          }
          failures = 0;
          set({ status: 'live' }, stuck.times < vain ? 'error' : undefined);
          k.soon();
          loadBranches();
          return;
        case 'delta':
        case 'snapshot': {
          const run = open.state.runs.findLast((r) => r.run_id === f.run_id);
          if (run && (run.ended_at !== undefined || run.status === 'completed')) return;
          const how = f.type === 'delta' ? stream.add(f) : stream.set(f);
          if (how === 'hole') resume();
          else if (how === 'appended') {
            if (stuck.n === open.state.n) stuck = notStuck;
            k.soonIfSeen();
          }
        }
      }
    },

    failed(f) {
      const open = k.state.open;
      if (open?.id !== f.conversation_id || !open) return;
      resuming = false;
      const error = { code: f.code, message: f.message };
      if (f.code === 'not_found') {
        set({ status: 'not-found', error });
      } else if (f.code === 'conflict') {
        // The log is shorter than what is here: what is here came from another log.
        cache.delete(open.id);
        stream.clear();
        turn++;
        set({ status: 'loading', state: emptyConversation('', open.id) });
        void load(open.id);
      } else {
        set({ error });
        if (isPassing(f.code)) retryLater(subscribe);
      }
      k.soon();
    },

    online() {
      const open = k.state.open;
      if (!open || open.status === 'not-found') return;
      if (ready()) subscribe();
      else {
        clearTimeout(retry);
        retry = undefined;
        void load(open.id);
      }
    },

    offline() {
      resuming = false;
      stuck = notStuck;
      if (k.state.open?.status === 'live') set({ status: 'catching-up' });
    },

    resume,

    clear() {
      leave();
      cache.clear();
      whole.clear();
      k.merge({ open: undefined });
    },
  };
  return self;
}
