import { settle, signedIn } from '../../test/unit/page';
import { path } from './path';

beforeEach(() => {
  jest.useFakeTimers();
  localStorage.clear();
});
afterEach(() => jest.useRealTimers());

/** A conversation of n answered questions, open; the first page has the newest three. */
async function talked(n: number) {
  const page = await signedIn();
  for (let i = 1; i <= n; i++) {
    page.server.ask('c1', `question ${i}`, `m${i}`);
    page.server.finish('c1');
  }
  page.store.actions.openConversation('c1');
  await settle();
  return page;
}

describe('[43] the message of an address', () => {
  it.each([
    ['a question', 'm2', 'run-m2'],
    ['an answer', 'run-m2', 'run-m2'],
    ['one that is here', 'm9', 'run-m9'],
  ])('%s is found, with everything between', async (_, id, run) => {
    const { store, server } = await talked(9);
    const found = store.actions.find(id);
    await settle();
    expect((await found)?.run_id).toBe(run);
    const shown = path(store.getState().open!.state).map((r) => r.run_id);
    expect(shown).toContain(run);
    expect(shown).toEqual(
      path(server.state('c1'))
        .map((r) => r.run_id)
        .slice(-shown.length),
    );
  });

  it('is found on another branch, and the one that is shown stays', async () => {
    const { store, server } = await talked(3);
    server.ask('c1', 'another way', 'm4', 'root');
    server.finish('c1');
    await settle();
    store.actions.openConversation(undefined);
    await settle();
    store.actions.openConversation('c1');
    await settle(0);
    const found = store.actions.find('m2');
    await settle(100);
    expect((await found)?.run_id).toBe('run-m2');
    expect(path(store.getState().open!.state).map((r) => r.run_id)).toEqual(['run-m4']);
  });

  it('that is nowhere is not found, and asks no longer', async () => {
    const { store, server } = await talked(9);
    const found = store.actions.find('m99');
    await settle();
    expect(await found).toBeUndefined();
    const asked = server.requests.length;
    await settle(10_000);
    expect(server.requests.length).toBe(asked);
  });

  it('is looked for no longer when somebody has gone elsewhere', async () => {
    const { store } = await talked(9);
    const found = store.actions.find('m2');
    store.actions.openConversation(undefined);
    await settle();
    expect(await found).toBeUndefined();
  });

  it('ends when an older page cannot be had', async () => {
    const { store, server } = await talked(9);
    server.outage = Object.assign(new Error('away'), { code: 'unavailable' });
    const found = store.actions.find('m2');
    await settle();
    expect(await found).toBeUndefined();
    expect(store.getState().toasts.at(-1)?.kind).toBe('error');
  });
});

it('[48] all of a conversation is read for paper', async () => {
  const { store } = await talked(9);
  expect(path(store.getState().open!.state)).toHaveLength(3);
  const all = store.actions.loadAll();
  await settle();
  await all;
  expect(path(store.getState().open!.state)).toHaveLength(9);
  expect(store.getState().open!.state.has_more).toBeUndefined();
});
