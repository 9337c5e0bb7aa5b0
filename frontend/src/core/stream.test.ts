import { random } from '../../test/unit/random';
import type { Delta, Run, Snapshot } from '../protocol/types';
import { Stream, utf8Length } from './stream';

const text = 'Grüße, 世界! 👩‍👩‍👧 naïve ' + '𝒳'.repeat(3) + ' e\u0301 — done.';

function delta(offset: number, piece: string, more: Partial<Delta> = {}): Delta {
  return { type: 'delta', conversation_id: 'c', run_id: 'r', step: 1, attempt: 1, offset, text: piece, ...more };
}

function snapshot(t: string, more: Partial<Snapshot> = {}): Snapshot {
  return { type: 'snapshot', conversation_id: 'c', run_id: 'r', step: 1, attempt: 1, text: t, ...more };
}

/** The deltas of a text, cut between whole characters. */
function cut(all: string, rand: () => number): Delta[] {
  const chars = Array.from(all);
  const out: Delta[] = [];
  let offset = 0;
  while (chars.length > 0) {
    const piece = chars.splice(0, 1 + Math.floor(rand() * 5)).join('');
    out.push(delta(offset, piece));
    offset += new TextEncoder().encode(piece).length;
  }
  return out;
}

it.each(['', 'plain', 'é', '世', '👩‍👩‍👧', '\ud800', '\udc00\ud800', 'a\ud83d', text])('counts the bytes of %j', (s) => {
  expect(utf8Length(s)).toBe(new TextEncoder().encode(s).length);
});

it('puts any cut of a text together', () => {
  for (let seed = 1; seed < 50; seed++) {
    const s = new Stream();
    for (const d of cut(text, random(seed))) expect(s.add(d)).toBe('appended');
    expect(s.text).toBe(text);
  }
});

it('ignores what it has already', () => {
  const s = new Stream();
  expect(s.add(delta(0, 'one '))).toBe('appended');
  expect(s.add(delta(0, 'one '))).toBe('stale');
  expect(s.text).toBe('one ');
});

it('shows nothing behind a hole until a snapshot closes it, and loses nothing meanwhile', () => {
  const s = new Stream();
  s.add(delta(0, 'one '));
  expect(s.add(delta(8, 'three '))).toBe('hole');
  expect(s.waiting).toBe(true);
  expect(s.add(delta(14, 'four'))).toBe('stale');
  expect(s.text).toBe('one ');
  expect(s.set(snapshot('one two '))).toBe('appended');
  expect(s.text).toBe('one two three four');
  expect(s.waiting).toBe(false);
});

it('says so again if the snapshot does not reach the hole', () => {
  const s = new Stream();
  s.add(delta(0, 'one '));
  s.add(delta(8, 'three '));
  expect(s.set(snapshot('one t'))).toBe('hole');
  expect(s.text).toBe('one t');
});

it.each([
  ['a higher attempt', { attempt: 2 }, 'new'],
  ['a later step', { step: 2 }, 'new'],
  ['another run', { run_id: 'r2' }, 'new'],
])('starts over with %s', (_, more, want) => {
  const s = new Stream();
  s.add(delta(0, 'old'));
  expect(s.add(delta(0, 'new', more))).toBe('appended');
  expect(s.text).toBe(want);
});

it.each<[string, Partial<Delta>]>([
  ['a lower attempt', { step: 2, attempt: 1 }],
  ['an earlier step', { step: 1, attempt: 9 }],
])('drops %s', (_, more) => {
  const s = new Stream();
  s.add(delta(0, 'now', { step: 2, attempt: 2 }));
  expect(s.add(delta(0, 'late', more))).toBe('stale');
  expect(s.set(snapshot('late snapshot', { step: more.step ?? 0, attempt: more.attempt ?? 0 }))).toBe('stale');
  expect(s.text).toBe('now');
});

it('keeps a text that is longer than a snapshot of the same attempt', () => {
  const s = new Stream();
  s.add(delta(0, 'long text'));
  expect(s.set(snapshot('long'))).toBe('stale');
  expect(s.text).toBe('long text');
});

it('ends with the whole text whatever is lost, doubled or late, with snapshots where it asks', () => {
  for (let seed = 1; seed < 200; seed++) {
    const rand = random(seed);
    const deltas = cut(text, rand);
    const s = new Stream();
    let sent = '';
    let asked = false;
    for (const d of deltas) {
      sent += d.text;
      if (asked && rand() < 0.4) asked = s.set(snapshot(sent)) === 'hole';
      if (rand() < 0.2) continue; // lost
      if (s.add(d) === 'hole') asked = true;
      if (rand() < 0.2) s.add(d);
      expect(text.startsWith(s.text)).toBe(true);
    }
    s.set(snapshot(sent));
    expect(s.text).toBe(text);
  }
});

describe('what is shown below a run', () => {
  const run: Run = {
    run_id: 'r',
    n: 1,
    message: { message_id: 'm', text: 'hi', time: '2026-03-14T09:26:53Z' },
    status: 'in_progress',
    step: 2,
    attempt: 2,
    streaming: true,
    usage: { input_tokens: 0, output_tokens: 0 },
  };
  const step = { step: 2, text: 'x', usage: run.usage };
  it.each<[string, boolean, Partial<Run>, Partial<Delta>]>([
    ['of the newest step', true, {}, {}],
    ['of a step the log has not told of yet', true, {}, { step: 3, attempt: 1 }],
    ['of an attempt the log has not told of yet', true, {}, { attempt: 3 }],
    ['of an older attempt', false, {}, { attempt: 1 }],
    ['of an older step', false, {}, { step: 1, attempt: 5 }],
    ['of a finished step', false, { steps: [step] }, {}],
    ['of a late attempt of a finished step', false, { steps: [step] }, { attempt: 3 }],
    ['of a finished run', false, { status: 'completed' }, {}],
    ['of a stopped run', false, { status: 'cancelled' }, {}],
    ['of a run that is being stopped', true, { status: 'cancelling' }, {}],
    ['of another run', false, { run_id: 'other' }, {}],
  ])('text %s: %s', (_, want, r, d) => {
    const s = new Stream();
    s.add(delta(0, 'text', { step: 2, attempt: 2, ...d }));
    expect(s.shows({ ...run, ...r })).toBe(want);
  });
  it('nothing without a run', () => {
    expect(new Stream().shows(undefined)).toBe(false);
  });
});
