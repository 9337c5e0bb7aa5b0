import { act, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';

import type { Call, JSONValue } from '../../src/protocol/types';
import { ToolCallCard } from '../../src/tools/ToolCallCard';
import { call, task } from './fakeStore';
import { callsOf, show } from './show';

const asking = (name: string, args: JSONValue, more: Partial<Call> = {}) =>
  call(name, args, { call_id: 'run-1-0', status: 'asking', ...more });

async function draw(c: Call, connected = true) {
  const result = show(<ToolCallCard call={c} connected={connected} />, {
    tasks: { byId: { 2: task(2, 'Pay rent', { due_on: '2026-12-01' }) }, status: 'ready', rev: 1, changed: {} },
  });
  await screen.findByRole('region', { name: /^Your approval/ });
  return { ...result, user: userEvent.setup() };
}

const button = (name: string) => screen.getByRole('button', { name });

test.each<[string, Call, RegExp]>([
  ['delete', asking('delete_task', { task_id: 2 }), /“Pay rent” will be deleted\./],
  ['complete', asking('complete_task', { task_id: 2 }), /“Pay rent” will be ticked as done\./],
  [
    'add',
    asking('add_task', { title: 'Milk', due_on: '2026-12-02' }),
    /“Milk” will be added to your tasks\.Due date2026-12-02/,
  ],
  [
    'change',
    asking('update_task', { task_id: 2, title: 'Pay the rent', due_on: null }),
    /“Pay rent” will be changed:TitlePay rent becomes Pay the rentDue date2026-12-01 becomes nothing/,
  ],
  ['other', asking('send_mail', { to: 'bob' }, { server: 'mail' }), /send_mail of mail will be called\./],
])('[35] says exactly what will change: %s', async (_, c, text) => {
  await draw(c);
  const region = screen.getByRole('region', { name: /^Your approval/ });
  expect(region).toHaveTextContent(text);
  expect(screen.getByLabelText('Exactly this is sent:')).toHaveTextContent(
    `${c.name} ${JSON.stringify(c.arguments, null, 2).replace(/\s+/g, ' ')}`,
  );
});

test('[35] no key and no focus decides: nothing is chosen beforehand', async () => {
  const { store, user } = await draw(asking('delete_task', { task_id: 2 }));
  expect(document.body).toHaveFocus();
  await user.keyboard('{Enter}{Escape} y');
  expect(screen.queryByRole('form')).toBeNull();
  for (const name of ['Allow', 'Deny', 'Edit']) expect(button(name)).toHaveAttribute('type', 'button');
  expect(callsOf(store, 'answer')).toEqual([]);
});

test.each([
  ['Allow', ['run-1-0', 'allow', undefined]],
  ['Deny', ['run-1-0', 'deny', undefined]],
])('[35] %s is told once', async (name, args) => {
  const { store, user } = await draw(asking('delete_task', { task_id: 2 }));
  await user.click(button(name));
  expect(callsOf(store, 'answer')).toEqual([args]);
  expect(button('Allow')).toBeDisabled();
  expect(button('Deny')).toBeDisabled();
});

test('[35] an answer that could not be told can be given again', async () => {
  const { store, user } = await draw(asking('delete_task', { task_id: 2 }));
  store.on('answer', () => Promise.resolve(false));
  await user.click(button('Deny'));
  await waitFor(() => expect(button('Deny')).toBeEnabled());
});

test('[35] edited arguments keep their kinds, show what they change, and are sent only then', async () => {
  const { store, user } = await draw(asking('update_task', { task_id: 2, title: 'Pay', urgent: true, tags: ['a'] }));
  await user.click(button('Edit'));
  const title = screen.getByRole('textbox', { name: 'Title' });
  await user.clear(title);
  await user.type(title, 'Pay the rent{Enter}now');
  expect(callsOf(store, 'answer')).toEqual([]);
  await user.selectOptions(screen.getByRole('combobox', { name: 'urgent' }), 'no');
  expect(screen.getByRole('region', { name: /^Your approval/ })).toHaveTextContent(/becomes Pay the rent now/);
  const id = screen.getByRole('textbox', { name: 'Task' });
  await user.clear(id);
  expect(screen.getByRole('alert')).toHaveTextContent('task_id must be a number.');
  expect(button('Allow')).toBeDisabled();
  await user.type(id, '3');
  await user.click(button('Allow with your changes'));
  expect(callsOf(store, 'answer')).toEqual([
    ['run-1-0', 'allow', { task_id: 3, title: 'Pay the rent\nnow', urgent: false, tags: ['a'] }],
  ]);
});

test('[35] changes can be discarded, and denying sends none', async () => {
  const { store, user } = await draw(asking('add_task', { title: 'Milk' }));
  await user.click(button('Edit'));
  await user.type(screen.getByRole('textbox', { name: 'Title' }), ' and bread');
  await user.click(button('Discard the changes'));
  expect(screen.queryByRole('textbox')).toBeNull();
  await user.click(button('Edit'));
  expect(screen.getByRole('textbox', { name: 'Title' })).toHaveValue('Milk');
  await user.type(screen.getByRole('textbox', { name: 'Title' }), '!');
  await user.click(button('Deny'));
  expect(callsOf(store, 'answer')).toEqual([['run-1-0', 'deny', undefined]]);
});

test('[35] a lost connection keeps what is typed and lets nobody answer', async () => {
  const c = asking('add_task', { title: 'Milk' });
  const { user, rerender } = await draw(c);
  await user.click(button('Edit'));
  await user.type(screen.getByRole('textbox', { name: 'Title' }), '!');
  rerender(<ToolCallCard call={c} connected={false} />);
  expect(screen.getByRole('textbox', { name: 'Title' })).toHaveValue('Milk!');
  expect(button('Allow with your changes')).toBeDisabled();
  expect(screen.getByText('You can answer when the connection is back.')).toBeInTheDocument();
});

test('[35] answered elsewhere, the question goes', async () => {
  const c = asking('delete_task', { task_id: 2 });
  const { rerender } = await draw(c);
  act(() => rerender(<ToolCallCard call={{ ...c, status: 'denied' }} connected />));
  expect(screen.queryByRole('button', { name: 'Allow' })).toBeNull();
  expect(screen.getByText('· Denied')).toBeInTheDocument();
});
