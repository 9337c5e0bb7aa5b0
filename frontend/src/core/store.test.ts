import { page, settle, signedIn } from '../../test/unit/page';
import { Server } from '../../test/unit/server';
import { path } from './path';
import { hasUnsent, outboxHere } from './selectors';
import type { Store } from './state';

beforeEach(() => {
  jest.useFakeTimers();
  localStorage.clear();
});
afterEach(() => jest.useRealTimers());

const open = (store: Store) => store.getState().open;
const texts = (store: Store) => outboxHere(store.getState()).map((i) => `${i.status} ${i.text}`);

/** What the log says, as the page should have it. */
function inStep(store: Store, server: Server, id: string) {
  const whole = server.state(id);
  const shown = open(store)!.state;
  expect(shown.n).toBe(whole.n);
  for (const run of path(whole).slice(-3)) expect(shown.runs).toContainEqual(run);
}

describe('signing in', () => {
  it('asks for a person on the first visit', async () => {
    const { store } = page();
    await store.start();
    expect(store.getState().session.status).toBe('signed-out');
    expect(store.getState().config?.model.label).toBe('Demo');
  });

  it('signs in whom it remembers, and reads the lists once', async () => {
    const server = new Server();
    server.ask('c1', 'Hello');
    server.task('Buy milk');
    const { store } = await signedIn(server);
    await settle(5000);
    const s = store.getState();
    expect(s.session).toEqual({ status: 'signed-in', userId: 'ada' });
    expect(s.connection.status).toBe('online');
    expect(s.conversations.items.map((i) => i.conversation_id)).toEqual(['c1']);
    expect(s.tasks).toMatchObject({ status: 'ready', byId: { 1: { title: 'Buy milk' } }, changed: {} });
    expect(server.requests.sort()).toEqual(['config', 'conversations', 'tasks']);
  });

  it('reads the lists without a socket too', async () => {
    const server = new Server();
    server.ask('c1', 'Hello');
    server.drop();
    const { store } = await signedIn(server);
    await settle(2000);
    expect(store.getState().conversations.items).toHaveLength(1);
  });

  it('[56] says why it did not work', async () => {
    const { store, session } = page();
    await store.start();
    session.refuse = Object.assign(new Error('Names are letters.'), { code: 'bad_request' });
    await store.actions.signInAs('no way');
    expect(store.getState().session).toEqual({
      status: 'signed-out',
      error: { code: 'bad_request', message: 'Names are letters.' },
    });
  });

  it('waits for a server that is not there yet', async () => {
    const { store, server, session } = page(undefined, { remembered: 'ada' });
    const away = Object.assign(new Error('The server cannot be reached.'), { code: 'network' });
    [server.outage, session.refuse] = [away, away];
    const started = store.start();
    await settle(3000);
    expect(store.getState().session.status).toBe('unknown');
    expect(store.getState().connection.status).toBe('offline');
    server.outage = undefined;
    delete session.refuse;
    await settle(20_000);
    await started;
    expect(store.getState().session.status).toBe('signed-in');
  });

  it('asks for the configuration and the token side by side, and for one alone if the other has come', async () => {
    const { store, server } = page(undefined, { remembered: 'ada' });
    server.outage = Object.assign(new Error('The server cannot be reached.'), { code: 'network' });
    const started = store.start();
    await settle(100);
    expect(store.getState().session).toEqual({ status: 'signed-in', userId: 'ada' });
    expect(store.getState().config).toBeUndefined();
    await settle(600);
    expect(store.getState().session).toEqual({ status: 'signed-in', userId: 'ada' });
    server.outage = undefined;
    await settle(20_000);
    await started;
    expect(store.getState().config?.model.label).toBe('Demo');
    expect(store.getState().connection.status).toBe('online');
  });

  it('[5] forgets everything on signing out', async () => {
    const { store, server, storage } = await signedIn();
    server.ask('c1', 'Hello');
    store.actions.openConversation('c1');
    await settle();
    server.drop();
    store.actions.send('secret');
    localStorage.setItem('parley.draft.c1', 'half a secret');
    store.actions.signOut();
    const s = store.getState();
    expect(s.session.status).toBe('signed-out');
    expect(s.open).toBeUndefined();
    expect([s.outbox, s.conversations.items, Object.keys(s.tasks.byId)]).toEqual([[], [], []]);
    expect(storage.items.size).toBe(0);
    expect(localStorage.length).toBe(0);
  });

  it('[54] renews a refused token once by itself, then asks, and goes on where it was', async () => {
    const { store, server, session } = await signedIn();
    server.ask('c1', 'Hello');
    store.actions.openConversation('c1');
    await settle();
    server.refuse(4401);
    await settle();
    expect(session.invalidated).toBe(1);
    expect(store.getState().session.status).toBe('signed-in');
    server.refuse(4401);
    expect(store.getState().session).toEqual({ status: 'expired', userId: 'ada' });
    store.actions.send('typed meanwhile');
    server.write('c1', 'Hi.');
    await store.actions.signInAs('ada');
    await settle();
    expect(open(store)).toMatchObject({ id: 'c1', draft: { text: 'Hi.' } });
    expect(server.state('c1').runs.map((r) => r.message.text)).toEqual(['Hello', 'typed meanwhile']);
  });

  it('[54] asks when the issuer refuses to renew, keeps what is sent meanwhile, and goes on', async () => {
    const { store, server, session } = await signedIn();
    server.ask('c1', 'Hello');
    store.actions.openConversation('c1');
    await settle();
    server.write('c1', 'Half a ');
    await settle();
    session.end();
    expect(store.getState().session).toEqual({ status: 'expired', userId: 'ada' });
    expect(open(store)?.draft?.text).toBe('Half a ');
    store.actions.send('typed meanwhile');
    await settle(60_000);
    expect(texts(store)).toEqual(['waiting typed meanwhile']);
    server.write('c1', 'sentence.');
    await store.actions.signInAs('ada');
    await settle();
    expect(open(store)).toMatchObject({ id: 'c1', status: 'live', draft: { text: 'Half a sentence.' } });
    expect(server.state('c1').runs.map((r) => r.message.text)).toEqual(['Hello', 'typed meanwhile']);
    expect(texts(store)).toEqual([]);
  });

  it('[54] forgets what one person typed before another signs in over it', async () => {
    const { store, session } = await signedIn();
    session.end();
    store.actions.send('for ada only');
    await store.actions.signInAs('bob');
    await settle();
    expect(store.getState().session).toMatchObject({ status: 'signed-in', userId: 'bob' });
    expect(store.getState().outbox).toEqual([]);
  });

  it("[5] leaves none of one person's drafts to the next", async () => {
    const { store, server } = await signedIn();
    localStorage.setItem('parley.draft.new', 'half a secret');
    server.refuse(4403);
    await store.actions.signInAs('ada');
    expect(localStorage.length).toBe(1);
    server.refuse(4403);
    await store.actions.signInAs('bob');
    expect(localStorage.length).toBe(0);
  });

  it('does not come back after 4403', async () => {
    const { store, server } = await signedIn();
    server.refuse(4403);
    expect(store.getState().session.status).toBe('expired');
  });

  it('[55] notices another version of the server', async () => {
    const { store, server } = await signedIn();
    server.drop();
    server.version = 'v2';
    server.restore();
    await settle();
    expect(store.getState().newVersion).toBe('v2');
  });
});

describe('sending', () => {
  it('opens the conversation that the first message starts', async () => {
    const { store, server } = await signedIn();
    const arrived: string[] = [];
    store.onConversation((id) => arrived.push(id));
    const id = store.actions.send('Hello');
    await settle();
    expect(arrived).toEqual([`c-${id}`]);
    expect(open(store)).toMatchObject({ id: `c-${id}`, status: 'live' });
    expect(texts(store)).toEqual([]);
    expect(server.sent('message')).toEqual([{ type: 'message', id, message: 'Hello', timezone: 'Europe/Paris' }]);
    inStep(store, server, `c-${id}`);
    store.actions.openConversation(`c-${id}`);
    expect(server.requests).not.toContain(`messages c-${id}`);
  });

  it('[6] shows a message at once, and until the conversation shows it', async () => {
    const { store, server } = await signedIn();
    server.intercept = (f) => (f.type === 'message' ? 'silence' : undefined);
    store.actions.send('Hello');
    expect(texts(store)).toEqual(['sending Hello']);
    expect(hasUnsent(store.getState())).toBe(true);
  });

  it('[53] keeps messages made offline, in order, and sends them by itself', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'Hello');
    store.actions.openConversation('c1');
    await settle();
    server.drop();
    for (const t of ['one', 'two', 'three']) store.actions.send(t);
    expect(texts(store)).toEqual(['waiting one', 'waiting two', 'waiting three']);
    server.restore();
    await settle();
    expect(server.state('c1').runs.map((r) => r.message.text)).toEqual(['Hello', 'one', 'two', 'three']);
    expect(texts(store)).toEqual([]);
  });

  it('gives what follows in a new conversation its place once that has one', async () => {
    const { store, server } = await signedIn();
    server.drop();
    const first = store.actions.send('one');
    store.actions.send('two');
    server.restore();
    await settle();
    expect([...server.logs.keys()]).toEqual([`c-${first}`]);
    expect(server.state(`c-${first}`).runs.map((r) => r.message.text)).toEqual(['one', 'two']);
  });

  it('keeps two new conversations apart', async () => {
    const { store, server } = await signedIn();
    server.drop();
    const first = store.actions.send('one');
    server.ask('c9', 'elsewhere');
    store.actions.openConversation('c9');
    store.actions.openConversation(undefined);
    const second = store.actions.send('two');
    expect(texts(store)).toEqual(['waiting two']);
    server.restore();
    await settle();
    expect(server.state(`c-${first}`).runs).toHaveLength(1);
    expect(server.state(`c-${second}`).runs).toHaveLength(1);
    expect(open(store)?.id).toBe(`c-${second}`);
    expect(store.getState().outbox).toEqual([]);
  });

  it('[7] stores a message once whose acknowledgement was lost', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'Hello');
    store.actions.openConversation('c1');
    await settle();
    // Stored, and then the line goes dead before anything comes back.
    server.intercept = (f) => {
      if (f.type !== 'message') return undefined;
      server.intercept = undefined;
      server.ask('c1', f.message, f.id);
      return 'silence';
    };
    const id = store.actions.send('once');
    await settle(1);
    server.drop();
    server.restore();
    await settle();
    expect(server.sent('message').filter((f) => f.id === id).length).toBeLessThanOrEqual(2);
    expect(server.state('c1').runs.map((r) => r.message.text)).toEqual(['Hello', 'once']);
    expect(texts(store)).toEqual([]);
  });

  it('makes another connection if the server does not acknowledge', async () => {
    const { store, server } = await signedIn();
    server.intercept = (f) => (f.type === 'message' ? 'silence' : undefined);
    const id = store.actions.send('Hello');
    await settle(10_000);
    server.intercept = undefined;
    expect(server.sent('message')).toHaveLength(1);
    await settle(15_000);
    expect(server.state(`c-${id}`).runs).toHaveLength(1);
    expect(texts(store)).toEqual([]);
  });

  it('[6] tries again what the server cannot take just now', async () => {
    const { store, server } = await signedIn();
    let refusals = 0;
    server.intercept = (f) =>
      f.type === 'message' && refusals++ < 2
        ? { type: 'error', id: f.id, code: 'unavailable', message: 'Later.', retry_after: 1 }
        : undefined;
    const id = store.actions.send('Hello');
    await settle(1);
    expect(texts(store)).toEqual(['waiting Hello']);
    await settle(2500);
    expect(server.state(`c-${id}`).runs).toHaveLength(1);
  });

  it('[6] [7] says what the server refuses, and lets the person retry with the same id, or discard', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'Hello');
    store.actions.openConversation('c1');
    await settle();
    server.intercept = (f) =>
      f.type === 'message' && f.message !== 'fine'
        ? { type: 'error', id: f.id, code: 'invalid_message', message: 'No.' }
        : undefined;
    const bad = store.actions.send('bad');
    const worse = store.actions.send('worse');
    store.actions.send('fine');
    await settle();
    expect(texts(store)).toEqual(['failed bad', 'failed worse']);
    expect(store.getState().outbox[0]?.error).toEqual({ code: 'invalid_message', message: 'No.', requestId: bad });
    server.intercept = undefined;
    store.actions.discard(worse);
    store.actions.retry(bad);
    await settle();
    expect(server.state('c1').runs.map((r) => r.message.message_id)).toContain(bad);
    expect(server.state('c1').runs.map((r) => r.message.text)).toEqual(['Hello', 'fine', 'bad']);
    expect(texts(store)).toEqual([]);
  });

  it('[6] [53] survives a reload with messages unsent', async () => {
    const { store, server, storage } = await signedIn();
    server.drop();
    const id = store.actions.send('Hello');
    store.actions.send('and more');
    const after = await signedIn(server, { storage });
    expect(texts(after.store)).toEqual(['waiting Hello', 'waiting and more']);
    server.restore();
    await settle();
    expect(server.state(`c-${id}`).runs.map((r) => r.message.text)).toEqual(['Hello', 'and more']);
    expect(open(after.store)?.id).toBe(`c-${id}`);
    expect(storage.items.size).toBe(0);
  });

  it("does not send one person's message as another", async () => {
    const { store, server, storage } = await signedIn();
    server.drop();
    store.actions.send('mine');
    const after = page(server, { storage });
    await after.store.start();
    await after.store.actions.signInAs('bob');
    expect(after.store.getState().outbox).toEqual([]);
  });

  it('[24] edits by a branch from before the message', async () => {
    const { store, server } = await signedIn();
    server.ask('c1', 'Hello');
    server.finish('c1');
    store.actions.openConversation('c1');
    await settle();
    store.actions.send('Hallo', { parentId: 'root' });
    await settle();
    expect(path(open(store)!.state).map((r) => r.message.text)).toEqual(['Hallo']);
    expect(open(store)!.state.runs).toHaveLength(2);
  });
});

describe('an answer that is being written', () => {
  async function writing() {
    const p = await signedIn();
    p.server.ask('c1', 'Hello');
    p.store.actions.openConversation('c1');
    await settle();
    return p;
  }

  it('[14] is drawn at once and then at most every 50 ms', async () => {
    const { store, server } = await writing();
    await settle(100);
    let drawn = 0;
    store.subscribe(() => drawn++);
    server.write('c1', 'word ');
    expect(open(store)?.draft?.text).toBe('word ');
    for (let i = 0; i < 100; i++) {
      server.write('c1', 'word ');
      await jest.advanceTimersByTimeAsync(10);
    }
    expect(drawn).toBeGreaterThan(10);
    expect(drawn).toBeLessThanOrEqual(22);
    await settle();
    expect(open(store)?.draft?.text).toBe('word '.repeat(101));
  });

  it('[50] becomes the text of the log without a gap or a repeat', async () => {
    const { store, server } = await writing();
    server.write('c1', 'Hello there');
    server.finish('c1');
    await settle();
    expect(open(store)?.draft).toBeUndefined();
    expect(open(store)?.state.runs[0]?.steps?.[0]?.text).toBe('Hello there');
    inStep(store, server, 'c1');
  });

  it('[50] goes on after a drop, mid-word, also with what was said meanwhile', async () => {
    const { store, server } = await writing();
    server.write('c1', 'Hel');
    await settle();
    server.drop();
    expect(open(store)).toMatchObject({ status: 'catching-up', draft: { text: 'Hel' } });
    server.write('c1', 'lo the');
    server.restore();
    server.write('c1', 're.');
    await settle();
    expect(open(store)).toMatchObject({ status: 'live', draft: { text: 'Hello there.' } });
  });

  it('asks again for what a lost delta took', async () => {
    const { store, server } = await writing();
    server.write('c1', 'one ');
    server.write('c1', 'two ', true);
    server.write('c1', 'three');
    await settle();
    expect(open(store)?.draft?.text).toBe('one two three');
    expect(server.sent('subscribe')).toHaveLength(2);
  });

  it('reads again after a frame that makes no sense', async () => {
    const { store, server } = await writing();
    server.write('c1', 'lost', true);
    server.break();
    await settle();
    expect(open(store)?.draft?.text).toBe('lost');
  });

  it('is there after a reload', async () => {
    const { server } = await writing();
    server.write('c1', 'Hello th');
    const again = await signedIn(server);
    again.store.actions.openConversation('c1');
    await settle();
    server.write('c1', 'ere');
    await settle();
    expect(open(again.store)?.draft?.text).toBe('Hello there');
  });

  it('[21] is not drawn while nobody looks, and its end is', async () => {
    const { store, server, look } = await writing();
    await settle(100);
    look.hidden = true;
    let drawn = 0;
    const stop = store.subscribe(() => drawn++);
    for (let i = 0; i < 10; i++) server.write('c1', 'word ');
    await settle(500);
    expect(drawn).toBe(0);
    look.hidden = false;
    store.visible();
    expect(open(store)?.draft?.text).toBe('word '.repeat(10));
    stop();
    look.hidden = true;
    server.finish('c1');
    expect(open(store)?.state.runs[0]?.status).toBe('completed');
  });

  it('[8] [9] stops when told: the text stays, and the wish shows before the server knows', async () => {
    const { store, server } = await writing();
    server.write('c1', 'Half an ans');
    server.intercept = (f) => (f.type === 'cancel' ? 'silence' : undefined);
    store.actions.stop();
    store.actions.stop();
    expect(store.getState().stopping).toEqual([open(store)?.state.runs[0]?.run_id]);
    await settle(1);
    server.intercept = undefined;
    server.drop();
    server.restore();
    await settle();
    expect(server.sent('cancel').map((f) => f.id)).toEqual([
      server.sent('cancel')[0]?.id,
      server.sent('cancel')[0]?.id,
    ]);
    const run = open(store)?.state.runs[0];
    expect(run).toMatchObject({ status: 'cancelled', steps: [{ text: 'Half an ans', partial: true }] });
    expect(open(store)?.draft).toBeUndefined();
    expect(store.getState().stopping).toEqual([]);
  });

  it('[8] stops a message that has not reached the server by taking it back', async () => {
    const { store, server } = await signedIn();
    server.drop();
    store.actions.send('Hello');
    store.actions.stop();
    expect(texts(store)).toEqual([]);
    server.restore();
    await settle();
    expect(server.logs.size).toBe(0);
  });

  it('[8] stops a message on its way as soon as it has a run', async () => {
    const { store, server } = await signedIn();
    server.intercept = (f) => (f.type === 'message' ? 'silence' : undefined);
    const id = store.actions.send('Hello');
    await settle(1);
    store.actions.stop();
    server.intercept = undefined;
    server.drop();
    server.restore();
    await settle();
    expect(server.state(`c-${id}`).runs[0]?.status).toBe('cancelled');
  });
});
