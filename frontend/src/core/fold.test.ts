import { goldens } from '../../test/unit/golden';
import { random } from '../../test/unit/random';
import { decodeCommit, decodeConversation } from '../protocol/decode';
import type { Commit, Conversation, Event } from '../protocol/types';
import { emptyConversation, fit, fold, withOlder, withRunsOf } from './fold';

const logs = goldens();

function start(commits: readonly Commit[]): Conversation {
  const first = commits[0];
  if (!first) throw new Error('an empty log');
  return emptyConversation(first.user_id, first.conversation_id);
}

/** As a reader does: what it has is ignored, a hole is never folded over. */
function read(state: Conversation, commits: readonly Commit[]): Conversation {
  for (const c of commits) if (fit(state, c) === 'next') state = fold(state, c);
  return state;
}

/** The state as JSON, with only the runs of another one and without what belongs to bases. */
function shownBy(state: Conversation, base: Conversation): unknown {
  const ids = new Set(base.runs.map((r) => r.run_id));
  return plain({ ...state, runs: state.runs.filter((r) => ids.has(r.run_id)) });
}

function plain(state: Conversation): unknown {
  const { has_more: _, ...rest } = JSON.parse(JSON.stringify(state)) as Conversation;
  return rest;
}

it('has golden logs to read', () => {
  expect(logs.length).toBeGreaterThan(15);
});

describe.each(logs)('$name', ({ commits, state, bases }) => {
  it('folds to what Go folds to', () => {
    expect(shownBy(read(start(commits), commits), state)).toEqual(plain(state));
  });

  it('decodes', () => {
    for (const c of commits) expect(decodeCommit(c)).toBe(c);
    for (const b of [{ state }, ...bases]) expect(decodeConversation(b.state)).toBe(b.state);
  });

  it('folds on from a base to the same', () => {
    const whole = read(start(commits), commits);
    for (const base of bases) {
      const later = read(base.state, commits.slice(base.n));
      expect(plain(later)).toEqual(shownBy(whole, later));
      for (const run of whole.runs) if (run.n > base.n) expect(later.runs).toContainEqual(run);
    }
  });

  it('folds on from its own state, as read from JSON, at every n', () => {
    const whole = read(start(commits), commits);
    let state = start(commits);
    for (const [i, c] of commits.entries()) {
      state = fold(state, c);
      const copy = JSON.parse(JSON.stringify(state)) as Conversation;
      // What a hand call's late answer meets is not part of the JSON.
      if (state.conversation_id !== 'home') expect(plain(read(copy, commits.slice(i + 1)))).toEqual(plain(whole));
    }
  });

  it('gives the same for any cut, repetition and late commit', () => {
    const whole = plain(read(start(commits), commits));
    for (let seed = 1; seed <= 20; seed++) {
      const rand = random(seed);
      let state = start(commits);
      while (state.n < commits.length) {
        // A connection resumes somewhere it has been, and may break anywhere.
        const from = Math.floor(rand() * (state.n + 1));
        const to = from + 1 + Math.floor(rand() * (commits.length - from));
        state = read(state, commits.slice(from, to));
      }
      expect(plain(state)).toEqual(whole);
    }
  });

  it('leaves the state before a commit as it was', () => {
    let state = deepFreeze(start(commits));
    for (const c of commits) state = deepFreeze(fold(state, deepFreeze(c)));
    expect(state.n).toBe(commits.length);
  });

  it('refuses a commit out of turn', () => {
    const first = commits[0]!;
    const state = read(start(commits), commits);
    expect(fit(state, first)).toBe('old');
    expect(fit(start(commits), { ...first, n: 2 })).toBe('gap');
    expect(fit(start(commits), { ...first, user_id: 'mallory' })).toBe('foreign');
    expect(() => fold(start(commits), { ...first, n: 2 })).toThrow(RangeError);
  });
});

it('keeps the identity of runs that a commit does not touch', () => {
  const log = logs.find((l) => l.name === 'branches')!;
  let state = start(log.commits);
  let untouched = 0;
  for (const c of log.commits) {
    const next = fold(state, c);
    const named = new Set(c.events.flatMap((e) => ('run_id' in e ? [e.run_id] : [])));
    for (const run of state.runs) {
      if (named.has(run.run_id)) continue;
      untouched++;
      expect(next.runs).toContain(run);
    }
    state = next;
  }
  expect(untouched).toBeGreaterThan(0);
});

it('counts events of types that came later', () => {
  const log = logs[0]!;
  const e = { type: 'moon.landed', where: 'there' } as unknown as Event;
  const state = fold(start(log.commits), { ...log.commits[0]!, events: [e, e] });
  expect(state).toMatchObject({ n: 1, runs: [], skipped: 2 });
});

it('adds older pages and other branches without touching what is there', () => {
  const log = logs.find((l) => l.name === 'long') ?? logs.at(-1)!;
  const whole = read(start(log.commits), log.commits);
  const cut = Math.floor(whole.runs.length / 2);
  const page: Conversation = { ...whole, runs: whole.runs.slice(cut), has_more: true };
  const older: Conversation = { ...whole, runs: whole.runs.slice(0, cut + 1) };
  const both = withOlder(page, older);
  expect(both.runs).toEqual(whole.runs);
  expect(both.runs.at(-1)).toBe(page.runs.at(-1));
  expect(both).not.toHaveProperty('has_more');
  expect(withRunsOf(page, whole).runs).toEqual(whole.runs);
  expect(withRunsOf(whole, page)).toBe(whole);
});

function deepFreeze<T>(v: T): T {
  if (typeof v === 'object' && v !== null && !Object.isFrozen(v)) {
    Object.freeze(v);
    Object.values(v).forEach(deepFreeze);
  }
  return v;
}
