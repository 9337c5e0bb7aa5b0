import { Malformed } from './check';
import { decodeFrame, taskOf, tasksOf } from './decode';

const task = {
  task_id: 5,
  title: 'Buy milk',
  description: '',
  due_on: null,
  status: 'open',
  deleted: false,
  created_at: '2026-03-14T09:00:00Z',
  updated_at: '2026-03-14T09:00:00Z',
  completed_at: null,
  task_rev: 9,
};
const commit = {
  v: 1,
  conversation_id: 'c',
  user_id: 'ada',
  n: 1,
  commit_id: 'x',
  cause: 'm',
  by: 'user',
  time: '2026-03-14T09:00:00Z',
  events: [{ type: 'conversation.read', read_n: 0 }],
};
const piece = { conversation_id: 'c', run_id: 'r', step: 1, attempt: 1, text: 'hi' };

it.each([
  {
    type: 'connected',
    user_id: 'ada',
    model: { name: 'm', label: 'M', demo: false },
    limits: { message_chars: 1 },
    server_version: 'v',
    expires_at: 't',
  },
  { type: 'commit', conversation_id: 'c', n: 1, commit },
  { type: 'live', conversation_id: 'c', n: 0 },
  { type: 'delta', ...piece, offset: 0 },
  { type: 'snapshot', ...piece },
  { type: 'accepted', id: 'm', conversation_id: 'c', run_id: 'r' },
  { type: 'done', id: 'm', n: 3 },
  { type: 'call', id: 'm', call_id: 'k' },
  { type: 'call_result', id: 'm', call_id: 'k', ok: true, result: { task }, duration_ms: 3 },
  { type: 'error', code: 'x', message: 'y' },
  { type: 'error', id: 'm', conversation_id: 'c', code: 'x', message: 'y', retry_after: 1.5 },
  { type: 'task', task },
  { type: 'conversation', conversation_id: 'c', title: '', n: 1, status: 'idle', updated_at: 't', pinned: true },
  { type: 'pong' },
  { type: 'live', conversation_id: 'c', n: 0, field_of_later: true },
])('reads $type', (f) => {
  expect(decodeFrame(JSON.stringify(f))).toEqual(f);
});

it.each([
  ['no JSON', '{"type":'],
  ['no object', '[1]'],
  ['null', 'null'],
  ['no type', '{}'],
  ['a type that is no text', '{"type":5}'],
  ['a member missing', JSON.stringify({ type: 'delta', ...piece })],
  ['a member of another kind', JSON.stringify({ type: 'delta', ...piece, offset: '0' })],
  ['a negative count', JSON.stringify({ type: 'live', conversation_id: 'c', n: -1 })],
  ['a count beyond what is exact', '{"type":"live","conversation_id":"c","n":9007199254740993}'],
  ['half a count', '{"type":"live","conversation_id":"c","n":1.5}'],
  ['another version', JSON.stringify({ type: 'commit', conversation_id: 'c', n: 1, commit: { ...commit, v: 2 } })],
  [
    'a commit without events',
    JSON.stringify({ type: 'commit', conversation_id: 'c', n: 1, commit: { ...commit, events: [] } }),
  ],
  ['a commit of another n', JSON.stringify({ type: 'commit', conversation_id: 'c', n: 2, commit })],
  ['a commit of another conversation', JSON.stringify({ type: 'commit', conversation_id: 'd', n: 1, commit })],
  [
    'an event without its members',
    JSON.stringify({
      type: 'commit',
      conversation_id: 'c',
      n: 1,
      commit: { ...commit, events: [{ type: 'run.started' }] },
    }),
  ],
  ['a status nobody knows', JSON.stringify({ type: 'task', task: { ...task, status: 'maybe' } })],
])('refuses %s', (_, text) => {
  expect(() => decodeFrame(text)).toThrow(Malformed);
});

it('lets frames and events of later kinds pass', () => {
  expect(decodeFrame('{"type":"weather"}')).toBeUndefined();
  expect(decodeFrame('{"type":"toString"}')).toBeUndefined();
  const later = { ...commit, events: [{ type: 'moon.landed', where: 1 }] };
  expect(decodeFrame(JSON.stringify({ type: 'commit', conversation_id: 'c', n: 1, commit: later }))).toBeDefined();
});

it('finds the rows in tool results, and nothing in others', () => {
  expect(taskOf({ task })).toEqual(task);
  expect(taskOf({ task: { ...task, task_rev: 'x' } })).toBeUndefined();
  expect(taskOf('text')).toBeUndefined();
  expect(taskOf(undefined)).toBeUndefined();
  expect(tasksOf({ tasks: [task], count: 1 })).toEqual([task]);
  expect(tasksOf({ tasks: task })).toBeUndefined();
});
