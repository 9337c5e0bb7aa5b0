import { settle, signedIn } from '../../test/unit/page';
import type { Store } from './state';

beforeEach(() => {
  jest.useFakeTimers();
  localStorage.clear();
});
afterEach(() => jest.useRealTimers());

const call = (store: Store) => store.getState().open?.state.runs[0]?.calls?.[0];
const status = (store: Store) => store.getState().open?.state.runs[0]?.status;

/** A page on which the model asks to delete a task. */
async function asking() {
  const { store, server } = await signedIn();
  server.ask('c1', 'Delete the rent');
  server.completeStep('c1', { name: 'delete_task', arguments: { task_id: 2 } });
  server.request('c1');
  store.actions.openConversation('c1');
  await settle();
  expect(call(store)).toMatchObject({ status: 'asking', arguments: { task_id: 2 } });
  expect(status(store)).toBe('requires_action');
  return { store, server, id: call(store)!.call_id };
}

it('[35] allowing tells the server, and the call runs', async () => {
  const { store, server, id } = await asking();
  const told = store.actions.answer(id, 'allow');
  await settle();
  expect(await told).toBe(true);
  expect(server.sent('answer')).toMatchObject([{ conversation_id: 'c1', call_id: id, decision: 'allow' }]);
  expect(server.sent('answer')[0]).not.toHaveProperty('arguments');
  expect(call(store)).toMatchObject({ status: 'running', arguments: { task_id: 2 } });
  expect(status(store)).toBe('in_progress');
});

it('[35] edited arguments take the place of those of the model', async () => {
  const { store, id } = await asking();
  void store.actions.answer(id, 'allow', { task_id: 3 });
  await settle();
  expect(call(store)).toMatchObject({ status: 'running', arguments: { task_id: 3 } });
});

it('[35] denying ends the call', async () => {
  const { store, id } = await asking();
  void store.actions.answer(id, 'deny');
  await settle();
  expect(call(store)?.status).toBe('denied');
});

it('[35] what cannot be told is said, with words and a reference', async () => {
  const { store, server } = await asking();
  const told = store.actions.answer('elsewhere-1-0', 'allow');
  await settle();
  expect(await told).toBe(false);
  expect(store.getState().toasts).toMatchObject([
    { kind: 'error', error: { code: 'not_found', requestId: server.sent('answer')[0]?.id } },
  ]);
});

it('[35] an answer given as the connection drops is given again, once', async () => {
  const { store, server, id } = await asking();
  server.intercept = (f) => (f.type === 'answer' ? 'silence' : undefined);
  const told = store.actions.answer(id, 'deny');
  await settle();
  server.drop();
  server.intercept = undefined;
  server.restore();
  await settle();
  expect(await told).toBe(true);
  expect(new Set(server.sent('answer').map((f) => f.id)).size).toBe(1);
  expect(call(store)?.status).toBe('denied');
});
