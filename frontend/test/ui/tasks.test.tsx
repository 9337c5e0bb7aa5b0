import { act, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';

import type { AppState } from '../../src/core/state';
import type { Task, TaskChange } from '../../src/protocol/types';
import { arrange } from '../../src/tasks/due';
import { TaskPanel } from '../../src/tasks/TaskPanel';
import { task } from './fakeStore';
import { callsOf, show } from './show';

const noop = () => undefined;

const state = (list: readonly Task[], changed: Record<number, number> = {}): Pick<AppState, 'tasks'> => ({
  tasks: { byId: Object.fromEntries(list.map((t) => [t.task_id, t])), status: 'ready', rev: 9, changed },
});

const list = [
  task(5, 'Buy groceries'),
  task(3, 'Call bank', { status: 'completed', completed_at: '2026-11-23T10:00:00Z' }),
  task(7, 'Boiler', { due_on: '2026-11-20' }),
  task(8, 'Gone', { deleted: true }),
];

function draw(tasks = list) {
  const result = show(<TaskPanel onClose={noop} onMessage={noop} />, state(tasks));
  return { ...result, user: userEvent.setup() };
}

const titles = () => screen.getAllByRole('listitem').map((li) => li.textContent);

test('[39] lists what is there, open before done, what is due first, with counts', () => {
  draw();
  expect(screen.getByRole('region', { name: 'Tasks' })).toBeInTheDocument();
  expect(titles().map((s) => /#\d+/.exec(s)?.[0])).toEqual(['#7', '#5', '#3']);
  expect(screen.getByText('2 open')).toBeInTheDocument();
  expect(screen.getByRole('button', { name: 'All 3' })).toHaveAttribute('aria-pressed', 'true');
  expect(screen.queryByText('Gone')).toBeNull();
  expect(screen.getByText(/overdue/)).toBeInTheDocument();
});

test('[39] filters', async () => {
  const { user } = draw();
  await user.click(screen.getByRole('button', { name: 'Done 1' }));
  expect(titles()).toHaveLength(1);
  await user.click(screen.getByRole('button', { name: 'Open 2' }));
  expect(titles()).toHaveLength(2);
});

test('[39] sorts by each key', () => {
  const some = [
    task(1, 'a', { task_rev: 9, due_on: '2026-12-02' }),
    task(2, 'b', { task_rev: 4, due_on: '2026-12-01' }),
    task(3, 'c', { task_rev: 7 }),
  ];
  const ids = (sort: Parameters<typeof arrange>[2]) => arrange(some, 'all', sort).map((t) => t.task_id);
  expect(ids('due')).toEqual([2, 1, 3]);
  expect(ids('number')).toEqual([1, 2, 3]);
  expect(ids('changed')).toEqual([1, 3, 2]);
});

test('[39] ticking goes through the tool and holds still until its answer', async () => {
  const { store, user } = draw();
  let answer: (o: { ok: boolean }) => void = noop;
  store.on('callTool', () => new Promise((resolve) => (answer = resolve)));
  await user.click(screen.getByRole('checkbox', { name: 'Complete “Boiler”' }));
  expect(callsOf(store, 'callTool')).toEqual([['complete_task', { task_id: 7 }]]);
  const box = screen.getByRole('checkbox', { name: 'Reopen “Boiler”' });
  expect(box).toBeChecked();
  expect(box).toBeDisabled();
  act(() => store.set(state([task(7, 'Boiler', { status: 'completed', task_rev: 20 })])));
  await act(async () => {
    answer({ ok: true });
    await Promise.resolve();
  });
  expect(screen.getByRole('checkbox', { name: 'Reopen “Boiler”' })).toBeEnabled();
});

test('a refused tick goes back and says why', async () => {
  const { store, user } = draw();
  store.on('callTool', () => Promise.resolve({ ok: false, error: { code: 'x', message: 'There is no task #7.' } }));
  await user.click(screen.getByRole('checkbox', { name: 'Complete “Boiler”' }));
  await waitFor(() => expect(callsOf(store, 'fail')).toEqual([[{ code: 'x', message: 'There is no task #7.' }]]));
  expect(screen.getByRole('checkbox', { name: 'Complete “Boiler”' })).not.toBeChecked();
});

test('[39] [56] adds by hand, and keeps the words when it fails', async () => {
  const { store, user } = draw();
  const field = screen.getByRole('textbox', { name: 'Add a task' });
  await user.type(field, 'Milk{Enter}');
  expect(callsOf(store, 'callTool')).toEqual([['add_task', { title: 'Milk' }]]);
  expect(field).toHaveValue('');
  store.on('callTool', () =>
    Promise.resolve({ ok: false, error: { code: 'offline', message: 'There is no connection.' } }),
  );
  await user.type(field, 'Bread{Enter}');
  expect(await screen.findByRole('alert')).toHaveTextContent('There is no connection.');
  expect(field).toHaveValue('Bread');
});

test('[39] edits in place: Enter saves only what has changed, Escape gives up', async () => {
  const { store, user } = draw();
  await user.click(screen.getByTitle('Edit “Boiler”'));
  const title = await screen.findByRole('textbox', { name: 'Title' });
  await user.clear(title);
  await user.type(title, 'Boiler and pipes{Enter}');
  expect(callsOf(store, 'callTool')).toEqual([['update_task', { task_id: 7, title: 'Boiler and pipes' }]]);
  await user.click(screen.getByTitle('Edit “Boiler”'));
  await user.type(await screen.findByRole('textbox', { name: 'Title' }), 'x{Escape}');
  expect(screen.queryByRole('textbox', { name: 'Title' })).toBeNull();
  expect(callsOf(store, 'callTool')).toHaveLength(1);
});

test('a due date can be taken away', async () => {
  const { store, user } = draw();
  await user.click(screen.getByTitle('Edit “Boiler”'));
  await user.clear(await screen.findByLabelText('Due date'));
  await user.click(screen.getByRole('button', { name: 'Save' }));
  expect(callsOf(store, 'callTool')).toEqual([['update_task', { task_id: 7, due_on: null }]]);
});

test('[41] what others change meanwhile is said and does not overwrite what is typed', async () => {
  const { store, user } = draw();
  await user.click(screen.getByTitle('Edit “Boiler”'));
  const title = await screen.findByRole('textbox', { name: 'Title' });
  await user.type(title, '!');
  act(() => store.set(state([task(7, 'Heating', { task_rev: 30 })], { 7: Date.now() })));
  expect(title).toHaveValue('Boiler!');
  expect(screen.getByText(/Changed meanwhile to “Heating”/)).toBeInTheDocument();
});

test('[36] a deletion, whoever made it, can be undone in its place for 10 s', async () => {
  jest.useFakeTimers();
  try {
    const { store } = draw();
    const user = userEvent.setup({ advanceTimers: jest.advanceTimersByTime });
    await user.click(screen.getByRole('button', { name: 'More about task #7 “Boiler”' }));
    await user.click(within(screen.getByRole('menu')).getByRole('menuitem', { name: 'Delete' }));
    expect(callsOf(store, 'callTool')).toEqual([['delete_task', { task_id: 7 }]]);
    act(() => store.set(state([list[0]!, task(7, 'Boiler', { deleted: true, task_rev: 30 })], { 7: Date.now() })));
    expect(within(screen.getByRole('list')).getByText('Deleted “Boiler”')).toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Undo' }));
    expect(callsOf(store, 'callTool')).toContainEqual(['restore_task', { task_id: 7 }]);
    await act(() => jest.advanceTimersByTimeAsync(12_000));
    expect(screen.queryByRole('button', { name: 'Undo' })).toBeNull();
    expect(screen.queryByText('Gone')).toBeNull();
  } finally {
    jest.useRealTimers();
  }
});

test('[38] a row that changes while one watches flashes once, others do not', () => {
  const { store } = draw();
  const row = (id: number) => document.getElementById(`task-${id}`);
  expect(row(7)).not.toHaveClass('flash');
  act(() => store.set(state([task(7, 'Boiler!', { task_rev: 30 }), task(5, 'Buy groceries')], { 7: Date.now() })));
  expect(row(7)).toHaveClass('flash');
  expect(row(5)).not.toHaveClass('flash');
});

test('the menu is gone through by keys', async () => {
  const { user } = draw();
  const trigger = screen.getByRole('button', { name: 'More about task #7 “Boiler”' });
  await user.click(trigger);
  expect(screen.getByRole('menuitem', { name: 'Edit' })).toHaveFocus();
  await user.keyboard('{ArrowUp}');
  expect(screen.getByRole('menuitem', { name: 'Delete' })).toHaveFocus();
  await user.keyboard('{Escape}');
  expect(screen.queryByRole('menu')).toBeNull();
  expect(trigger).toHaveFocus();
});

test('says that there is nothing', () => {
  draw([]);
  expect(screen.getByText('No tasks yet.')).toBeInTheDocument();
});

const changes = (deleted = false): TaskChange[] => [
  {
    task_rev: 2,
    tool: deleted ? 'delete_task' : 'update_task',
    by: deleted ? 'model' : 'user',
    call_id: 'k2',
    conversation_id: deleted ? 'c2' : 'home',
    ...(deleted && { run_id: 'r2' }),
    at: '2026-11-23T10:00:00Z',
    task: task(7, 'Boiler', { deleted }),
  },
  {
    task_rev: 1,
    tool: 'add_task',
    by: 'model',
    call_id: 'k1',
    conversation_id: 'c1',
    run_id: 'r1',
    at: '2026-11-22T10:00:00Z',
    task: task(7, 'Heating'),
  },
];

test('[42] shows the whole history of a task, page by page, and leads to the messages', async () => {
  const onMessage = jest.fn();
  const { store } = show(<TaskPanel onClose={noop} onMessage={onMessage} />, state(list));
  const user = userEvent.setup();
  const [newest, oldest] = changes();
  store.on('taskHistory', (_, after) =>
    Promise.resolve(
      after === undefined ? { data: [newest!], hasMore: true, after: 'p2' } : { data: [oldest!], hasMore: false },
    ),
  );
  await user.click(screen.getByRole('button', { name: 'More about task #7 “Boiler”' }));
  await user.click(screen.getByRole('menuitem', { name: 'History' }));
  expect(await screen.findByText('you')).toBeInTheDocument();
  await user.click(screen.getByRole('button', { name: 'Show older changes' }));
  expect(await screen.findByText(/“Heating”/)).toBeInTheDocument();
  expect(screen.queryByRole('button', { name: 'Show older changes' })).toBeNull();
  await user.click(screen.getByRole('button', { name: 'Open the conversation' }));
  expect(onMessage).toHaveBeenCalledWith('c1', 'r1');
});

test('[36] a deleted task is brought back from its history', async () => {
  const { store, rerender, user } = draw([task(7, 'Boiler', { deleted: true })]);
  store.on('taskHistory', () => Promise.resolve({ data: changes(true), hasMore: false }));
  // The page is asked for a task that is not in the list, as from its card.
  rerender(<TaskPanel onClose={noop} onMessage={noop} show={{ id: 7, at: Date.now() }} />);
  await user.click(await screen.findByRole('button', { name: 'Bring it back' }));
  expect(callsOf(store, 'callTool')).toEqual([['restore_task', { task_id: 7 }]]);
});

test('[40] a click on a task says who changed it last, and leads to the message', async () => {
  const onMessage = jest.fn();
  const { store } = show(<TaskPanel onClose={noop} onMessage={onMessage} />, state(list));
  const user = userEvent.setup();
  store.on('taskHistory', () => Promise.resolve({ data: changes().slice(1), hasMore: false }));
  await user.click(screen.getByTitle('Edit “Boiler”'));
  expect(await screen.findByText(/^Added by Parley, /)).toBeInTheDocument();
  await user.click(screen.getByRole('button', { name: 'Show the message' }));
  expect(onMessage).toHaveBeenCalledWith('c1', 'r1');
});

test('[40] a task that is asked for comes into view, whatever the filter', async () => {
  const seen = jest.fn();
  Element.prototype.scrollIntoView = seen;
  const { rerender, user } = draw();
  await user.click(screen.getByRole('button', { name: 'Done 1' }));
  rerender(<TaskPanel onClose={noop} onMessage={noop} show={{ id: 7, at: Date.now() }} />);
  expect(screen.getByRole('button', { name: 'All 3' })).toHaveAttribute('aria-pressed', 'true');
  expect(document.getElementById('task-7')).toHaveFocus();
  expect(document.getElementById('task-7')).toHaveClass('flash');
  expect(seen).toHaveBeenCalled();
});
