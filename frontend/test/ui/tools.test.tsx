import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';

import { partsOf } from '../../src/chat/answer';
import type { Call } from '../../src/protocol/types';
import { ToolCallCard } from '../../src/tools/ToolCallCard';
import { ToolCalls } from '../../src/tools/ToolCalls';
import { doneSummary } from '../../src/tools/summaries';
import { call, run, task } from './fakeStore';
import { callsOf, show } from './show';

const result = { task: task(6, 'Buy milk') };

test.each<[string, Call, string, string | undefined]>([
  ['waiting', call('add_task', { title: 'Milk' }, { status: 'waiting' }), 'Add “Milk”', 'Waiting'],
  ['asking', call('delete_task', { task_id: 2 }, { status: 'asking' }), 'Delete #2', 'Needs your approval'],
  ['running', call('list_tasks', {}, { status: 'running' }), 'Look at the tasks', 'Running'],
  ['done', call('add_task', { title: 'Milk' }, { result }), 'Added “Buy milk”', undefined],
  [
    'failed',
    call('delete_task', { task_id: 9 }, { status: 'failed', error: { code: 'x', message: 'There is no task #9.' } }),
    'Could not delete #9: There is no task #9.',
    undefined,
  ],
  ['denied', call('delete_task', { task_id: 2 }, { status: 'denied' }), 'Delete #2', 'Denied'],
  ['stopped', call('add_task', { title: 'Milk' }, { status: 'stopped' }), 'Add “Milk”', 'Stopped, did not run'],
])('[31] a call that is %s', (state, c, text, note) => {
  const { container } = show(<ToolCallCard call={c} connected />);
  expect(container.querySelector(`[data-state="${state}"]`)).not.toBeNull();
  expect(screen.getByRole('button', { name: text })).toHaveAttribute('aria-expanded', 'false');
  if (note !== undefined) expect(screen.getByText(`· ${note}`)).toBeInTheDocument();
});

test('[31] without a connection nobody knows how far an open call has come', () => {
  show(<ToolCallCard call={call('add_task', { title: 'Milk' }, { status: 'running' })} connected={false} />);
  expect(screen.getByText('· Checking after reconnect')).toBeInTheDocument();
});

test.each(['waiting', 'running', 'stopped', 'denied', 'failed'] as const)(
  '[33] no word of success while a call is %s, whatever its result says',
  (status) => {
    const { container } = show(
      <ToolCallCard call={call('add_task', { title: 'Milk' }, { status, result })} connected />,
    );
    expect(container).not.toHaveTextContent(/Added|Completed|Deleted|Updated|done/);
  },
);

test.each<[string, unknown, unknown, string]>([
  ['add_task', {}, result, 'Added “Buy milk”'],
  ['complete_task', { task_id: 6 }, result, 'Completed “Buy milk”'],
  ['reopen_task', { task_id: 6 }, result, 'Reopened “Buy milk”'],
  ['delete_task', { task_id: 6 }, result, 'Deleted “Buy milk”'],
  ['restore_task', { task_id: 6 }, result, 'Restored “Buy milk”'],
  ['update_task', { task_id: 6 }, result, 'Updated “Buy milk”'],
  ['list_tasks', { status: 'open' }, { tasks: [], count: 1 }, 'Looked at 1 open task'],
  ['list_tasks', {}, { tasks: [], count: 2 }, 'Looked at 2 tasks'],
  ['list_tasks', { query: 'rent' }, { tasks: [], count: 0 }, 'Found 0 tasks for “rent”'],
  ['add_task', {}, 'not what it should be', 'Used add_task'],
  ['search_web', { q: 1 }, { pages: [] }, 'Used search_web'],
  ['constructor', null, undefined, 'Used constructor'],
])('[30] [33] [37] %s %j says what its result says', (name, args, res, text) => {
  expect(doneSummary(call(name, args, { result: res })).text).toBe(text);
});

test('[23] [30] [37] opens to its arguments and result, and copies them', async () => {
  const user = userEvent.setup();
  show(<ToolCallCard call={call('search_web', { q: 'x' }, { result: { pages: 3 } })} connected />);
  expect(screen.queryByText('Arguments')).toBeNull();
  await user.click(screen.getByRole('button', { name: /Used search_web/ }));
  expect(screen.getByLabelText('Arguments')).toHaveTextContent('{ "q": "x" }');
  expect(screen.getByLabelText('Result')).toHaveTextContent('{ "pages": 3 }');
  await user.click(screen.getByRole('button', { name: 'Copy the result' }));
  expect(JSON.parse(await navigator.clipboard.readText())).toEqual({ pages: 3 });
  expect(screen.getByRole('status')).toHaveTextContent('Copied');
});

test('[32] a failure has a red edge and its reason without being opened', () => {
  const error = { code: 'tool_error', message: 'There is no task #9.' };
  const { container } = show(
    <ToolCallCard call={call('delete_task', { task_id: 9 }, { status: 'failed', error })} connected />,
  );
  expect(container.querySelector('[data-state=failed]')).toHaveClass('border-danger');
  expect(screen.getByRole('button', { name: /There is no task #9\./ })).toHaveAttribute('aria-expanded', 'false');
  // Nothing but the tool itself could make it succeed.
  expect(screen.queryByRole('button', { name: 'Run it now' })).toBeNull();
});

test('[32] what the server gave up and promises not to run can be run by hand', async () => {
  const user = userEvent.setup();
  const error = { code: 'deadline', message: 'The time for this answer was up before the call could run.' };
  const { store, container } = show(
    <ToolCallCard call={call('add_task', { title: 'Milk' }, { status: 'stopped', error })} connected />,
  );
  expect(container).toHaveTextContent('The time for this answer was up before the call could run.');
  expect(container.querySelector('[data-state=stopped]')).toHaveClass('border-danger');
  await user.click(await screen.findByRole('button', { name: 'Run it now' }));
  expect(callsOf(store, 'callTool')).toEqual([['add_task', { title: 'Milk' }]]);
  await waitFor(() => expect(container.querySelector('[data-call]')).toHaveTextContent('Done by hand.'));
});

test('[32] what its person stopped is offered to nobody', () => {
  const error = { code: 'revoked', message: 'Stopped.' };
  show(<ToolCallCard call={call('add_task', { title: 'Milk' }, { status: 'stopped', error })} connected />);
  expect(screen.queryByRole('button', { name: 'Run it now' })).toBeNull();
});

test('[37] new fields and strange shapes are drawn all the same', async () => {
  const user = userEvent.setup();
  const odd = call('fly', [1, { deep: null }], { result: 'text', server: 'birds' });
  Object.assign(odd, { wings: 2, status: 'done' });
  show(<ToolCallCard call={odd} connected />);
  await user.click(screen.getByRole('button', { name: 'Used fly' }));
  expect(screen.getByLabelText('Result')).toHaveTextContent('text');
  expect(screen.getByText(/birds · fly/)).toBeInTheDocument();
});

test('a call that took no millisecond shows that too', () => {
  const quick = call('list_tasks', {}, { result: { tasks: [], count: 0 } });
  delete quick.duration_ms; // the log leaves out a zero
  show(<ToolCallCard call={quick} connected />);
  expect(screen.getByText('< 1 ms')).toBeInTheDocument();
});

test('[30] [40] shows the duration and leads to the task', async () => {
  const user = userEvent.setup();
  const onTask = jest.fn();
  show(<ToolCallCard call={call('add_task', {}, { result, duration_ms: 41 })} connected onTask={onTask} />);
  expect(screen.getByText('41 ms')).toBeInTheDocument();
  await user.click(screen.getByRole('button', { name: 'Show task #6' }));
  expect(onTask).toHaveBeenCalledWith(6);
});

test('[36] a deletion can be undone for as long as the task is deleted', async () => {
  const user = userEvent.setup();
  const deleted = task(6, 'Buy milk', { deleted: true });
  const { store } = show(<ToolCallCard call={call('delete_task', { task_id: 6 }, { result })} connected />, {
    tasks: { byId: { 6: deleted }, status: 'ready', rev: 1, changed: {} },
  });
  await user.click(screen.getByRole('button', { name: 'Undo' }));
  expect(callsOf(store, 'callTool')).toEqual([['restore_task', { task_id: 6 }]]);
});

test('no Undo for a task that is there', () => {
  show(<ToolCallCard call={call('delete_task', { task_id: 6 }, { result })} connected />, {
    tasks: { byId: { 6: task(6, 'Buy milk') }, status: 'ready', rev: 1, changed: {} },
  });
  expect(screen.queryByRole('button', { name: 'Undo' })).toBeNull();
});

describe('many calls', () => {
  const ok = (title: string, id: number) => call('add_task', { title }, { result: { task: task(id, title) } });
  const bad = call('add_task', { title: 'D' }, { status: 'failed', error: { code: 'x', message: 'No.' } });

  test('two stand for themselves', () => {
    show(<ToolCalls calls={[ok('A', 1), ok('B', 2)]} connected />);
    expect(screen.getByRole('button', { name: /Added “A”/ })).toBeInTheDocument();
    expect(screen.queryByText(/steps/)).toBeNull();
  });

  test('[34] three fold; what failed stays in view; the choice is kept', async () => {
    const user = userEvent.setup();
    const calls = [ok('A', 1), ok('B', 2), ok('C', 3), bad];
    const { rerender } = show(<ToolCalls calls={calls} connected />);
    const line = screen.getByRole('button', { name: /4 steps · 1 failed/ });
    expect(line).toHaveAttribute('aria-expanded', 'false');
    expect(screen.queryByRole('button', { name: /Added “A”/ })).toBeNull();
    expect(screen.getByRole('button', { name: /Could not add “D”: No\./ })).toBeInTheDocument();
    await user.click(line);
    expect(screen.getByRole('button', { name: /Added “A”/ })).toBeInTheDocument();
    rerender(<ToolCalls calls={[...calls, ok('E', 5)]} connected />);
    expect(screen.getByRole('button', { name: /5 steps/ })).toHaveAttribute('aria-expanded', 'true');
  });

  test('[34] the choice is kept when the row goes and comes back', async () => {
    const user = userEvent.setup();
    const calls = [ok('A', 1), ok('B', 2), ok('C', 3)];
    const { unmount } = show(<ToolCalls calls={calls} connected />);
    await user.click(screen.getByRole('button', { name: /3 steps/ }));
    unmount();
    show(<ToolCalls calls={calls} connected />);
    expect(screen.getByRole('button', { name: /3 steps/ })).toHaveAttribute('aria-expanded', 'true');
  });

  test('[34] steps without words between them stand in one row, open until the answer goes on', () => {
    const calls = [ok('A', 1), ok('B', 2), ok('C', 3)].map((c, i) => ({ ...c, step: i + 1 }));
    const usage = { input_tokens: 1, output_tokens: 1 };
    const steps = calls.map((c) => ({ step: c.step, text: '', calls: [c.call_id], usage }));
    const parts = partsOf(run('r', 'x', '', { steps, calls }), undefined);
    expect(parts.map((p) => p.kind === 'calls' && p.calls.length)).toEqual([3]);
    const { rerender } = show(<ToolCalls calls={calls} connected growing />);
    expect(screen.getByRole('button', { name: /3 steps/ })).toHaveAttribute('aria-expanded', 'true');
    rerender(<ToolCalls calls={calls} connected />);
    expect(screen.getByRole('button', { name: /3 steps/ })).toHaveAttribute('aria-expanded', 'false');
  });

  test('[35] one that asks is in view in a closed group', async () => {
    const user = userEvent.setup();
    const asking = call('delete_task', { task_id: 9 }, { status: 'asking' });
    show(<ToolCalls calls={[ok('A', 1), ok('B', 2), asking]} connected />);
    await user.click(screen.getByRole('button', { name: /3 steps/ }));
    expect(await screen.findByRole('button', { name: 'Allow' })).toBeInTheDocument();
    expect(screen.queryByRole('button', { name: /Added “A”/ })).toBeNull();
  });

  test('[34] are open while one is going on', () => {
    show(
      <ToolCalls calls={[ok('A', 1), ok('B', 2), call('add_task', { title: 'C' }, { status: 'running' })]} connected />,
    );
    expect(screen.getByRole('button', { name: /3 steps · 1 to go/ })).toHaveAttribute('aria-expanded', 'true');
  });
});
