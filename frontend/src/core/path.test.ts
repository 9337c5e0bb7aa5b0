import type { Conversation, Run } from '../protocol/types';
import { activeRun, path, siblings, tipOf } from './path';

function run(id: string, n: number, parent?: string, status: Run['status'] = 'completed'): Run {
  return {
    run_id: id,
    n,
    ...(parent !== undefined && { parent_id: parent }),
    message: { message_id: `m-${id}`, text: id, time: '2026-03-14T09:00:00Z' },
    status,
    usage: { input_tokens: 0, output_tokens: 0 },
  };
}

// a ─ b ─ c          (asked first)
//   └ d ─ e          (b edited)
// f                  (a edited)
//   └ g              (the newest)
const runs = [
  run('a', 1),
  run('b', 2, 'a'),
  run('c', 3, 'b'),
  run('d', 4, 'a'),
  run('e', 5, 'd'),
  run('f', 6),
  run('g', 7, 'f', 'in_progress'),
  run('h', 8, 'g', 'queued'),
];
const conversation: Conversation = { user_id: 'u', conversation_id: 'c', n: 8, runs };
const ids = (list: Run[]) => list.map((r) => r.run_id).join(' ');

it('follows the newest branch, or the one that is asked for', () => {
  expect(ids(path(conversation))).toBe('f g h');
  expect(ids(path(conversation, 'c'))).toBe('a b c');
  expect(ids(path(conversation, 'e'))).toBe('a d e');
  expect(ids(path(conversation, 'nowhere'))).toBe('');
});

it('stops where the first page starts, and at a parent that cannot be one', () => {
  expect(ids(path({ ...conversation, runs: runs.slice(1) }, 'c'))).toBe('b c');
  expect(ids(path({ ...conversation, runs: [run('x', 1, 'y'), run('y', 2, 'x')] }))).toBe('x y');
});

it('knows who stands in the same place', () => {
  expect(ids(siblings(conversation, runs[1]!))).toBe('b d');
  expect(ids(siblings(conversation, runs[0]!))).toBe('a f');
  expect(ids(siblings(conversation, runs[2]!))).toBe('c');
});

it('goes to where a branch went last', () => {
  expect(tipOf(conversation, runs[0]!).run_id).toBe('e');
  expect(tipOf(conversation, runs[1]!).run_id).toBe('c');
  expect(tipOf(conversation, runs[4]!).run_id).toBe('e');
});

it('knows the one run that is active', () => {
  expect(activeRun(conversation)?.run_id).toBe('g');
  expect(activeRun({ ...conversation, runs: runs.slice(0, 6) })).toBeUndefined();
});
