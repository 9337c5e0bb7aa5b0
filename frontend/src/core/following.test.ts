import { page, settle, signedIn } from '../../test/unit/page';
import { random } from '../../test/unit/random';
import { Server } from '../../test/unit/server';
import { path } from './path';
import type { Store } from './state';

beforeEach(() => {
  jest.useFakeTimers();
  localStorage.clear();
});
afterEach(() => jest.useRealTimers());

const open = (store: Store) => store.getState().open;

/** What the log says, as the page should have it. */
function inStep(store: Store, server: Server, id: string) {
  const whole = server.state(id);
  const shown = open(store)!.state;
  expect(shown.n).toBe(whole.n);
  for (const run of path(whole).slice(-3)) expect(shown.runs).toContainEqual(run);
}

describe('the open conversation', () => {
  it('[50] is in step with the log after any drops, doubles and losses', async () => {
    for (let seed = 1; seed <= 25; seed++) {
      const rand = random(seed);
      const { store, server } = await signedIn();
      server.ask('c1', 'Hello');
      store.actions.openConversation('c1');
      await settle();
      const sent: string[] = [];
      for (let i = 0; i < 60; i++) {
        const dice = rand();
        const busy = server.state('c1').runs.some((r) => r.status === 'in_progress');
        if (dice < 0.4 && busy) server.write('c1', `wörd${i} `, rand() < 0.2);
        else if (dice < 0.5 && busy) server.finish('c1');
        else if (dice < 0.6) {
          sent.push(`message ${i}`);
          store.actions.send(`message ${i}`);
        } else if (dice < 0.7) server.drop();
        else if (dice < 0.85) server.restore();
        else if (dice < 0.9) store.actions.stop();
        else await settle(Math.floor(rand() * 100));
      }
      server.restore();
      await settle(1000);
      // Whatever still waits runs to its end.
      while (server.state('c1').runs.some((r) => r.status === 'in_progress')) server.finish('c1');
      await settle(1000);
      inStep(store, server, 'c1');
      const texts = server.state('c1').runs.map((r) => r.message.text);
      expect(new Set(texts).size).toBe(texts.length);
      expect(sent.filter((t) => texts.includes(t))).toEqual(texts.slice(1));
      expect(open(store)?.draft).toBeUndefined();
      expect(store.getState().outbox).toEqual([]);
      expect(store.getState().stopping).toEqual([]);
      store.actions.signOut();
    }
  });

  it('is not found where there is none', async () => {
    const { store } = await signedIn();
    store.actions.openConversation('nowhere');
    expect(open(store)?.status).toBe('loading');
    await settle();
    expect(open(store)?.status).toBe('not-found');
  });

  it('can be asked for before anybody is signed in', async () => {
    const server = new Server();
    server.ask('c1', 'Hello');
    const { store } = page(server, { remembered: 'ada' });
    store.actions.openConversation('c1');
    await store.start();
    await settle();
    expect(open(store)).toMatchObject({ id: 'c1', status: 'live' });
    expect(server.requests.filter((r) => r === 'messages c1')).toHaveLength(1);
  });

  it('is tried again while the server has trouble', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'Hello');
    server.outage = Object.assign(new Error('Later.'), { code: 'unavailable', requestId: 'r1' });
    store.actions.openConversation('c1');
    await settle();
    expect(open(store)).toMatchObject({ status: 'error', error: { code: 'unavailable', requestId: 'r1' } });
    server.outage = undefined;
    await settle(2000);
    expect(open(store)).toMatchObject({ status: 'live' });
    expect(open(store)).not.toHaveProperty('error');
  });

  it('shows at once what was open before, then what has come since', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'one');
    server.ask('c2', 'two');
    store.actions.openConversation('c1');
    await settle();
    store.actions.openConversation('c2');
    await settle();
    server.write('c1', 'news');
    server.finish('c1');
    expect(open(store)?.id).toBe('c2');
    store.actions.openConversation('c1');
    expect(open(store)?.state.runs[0]?.message.text).toBe('one');
    await settle();
    inStep(store, server, 'c1');
    expect(server.requests.filter((r) => r === 'messages c1')).toHaveLength(1);
    expect(server.sent('unsubscribe').map((f) => f.conversation_id)).toEqual(['c1', 'c2']);
  });

  it('starts anew if the log is shorter than what is here', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'one');
    server.finish('c1');
    store.actions.openConversation('c1');
    await settle();
    server.drop();
    server.logs.get('c1')!.length = 1;
    server.restore();
    await settle();
    expect(open(store)).toMatchObject({ status: 'live', state: { n: 1 } });
  });

  it('takes older pages, and branches that the first page leaves out', async () => {
    const { store, server } = await signedIn();
    for (let i = 1; i <= 7; i++) {
      server.ask('c1', `message ${i}`);
      server.finish('c1');
    }
    server.ask('c1', 'instead', 'm-branch', 'root');
    server.finish('c1');
    server.ask('c1', 'after all', 'm-last', server.state('c1').runs[6]!.run_id);
    server.finish('c1');
    store.actions.openConversation('c1');
    await settle();
    expect(path(open(store)!.state)).toHaveLength(3);
    await store.actions.loadOlder();
    expect(path(open(store)!.state)).toHaveLength(6);
    expect(open(store)?.state.has_more).toBe(true);
    await settle(3000);
    expect(open(store)?.state.runs.map((r) => r.message.text)).toContain('instead');
    expect(path(open(store)!.state)).toHaveLength(8);
    expect(open(store)?.state).not.toHaveProperty('has_more');
    const asked = server.requests.length;
    store.actions.openConversation(undefined);
    store.actions.openConversation('c1');
    await settle(3000);
    expect(open(store)?.status).toBe('live');
    expect(server.requests).toHaveLength(asked);
  });
});

describe('what cannot be read', () => {
  it('is answered by a resume, ever more slowly, and its person is told', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'Hello');
    store.actions.openConversation('c1');
    await settle();
    server.unreadable = (f) => f.type === 'commit' && f.n > open(store)!.state.n;
    server.append('c1', { type: 'conversation.pinned', pinned: true });
    await settle(60_000);
    const asked = server.sent('subscribe').length;
    expect(asked).toBeGreaterThan(3);
    expect(asked).toBeLessThan(15);
    expect(open(store)).toMatchObject({ status: 'catching-up', error: { code: 'unreadable' } });

    server.unreadable = undefined;
    await settle(20_000);
    inStep(store, server, 'c1');
    expect(open(store)?.status).toBe('live');
    expect(open(store)).not.toHaveProperty('error');
  });

  it('once in a while is answered at once', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'Hello');
    store.actions.openConversation('c1');
    await settle();
    for (let i = 0; i < 4; i++) {
      server.write('c1', `word${i} `, true);
      server.break();
      await settle();
      expect(open(store)?.draft?.text.trim().split(' ')).toHaveLength(i + 1);
    }
  });
});
