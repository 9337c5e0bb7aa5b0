import type { ServerFrame } from '../protocol/types';
import { createSocket, subprotocol, type ConnectionState, type Socket } from './socket';

/** The browser's side of a WebSocket, with the network in the hands of the test. */
class Wire {
  static all: Wire[] = [];
  readyState = 0;
  sent: { type: string; token?: string }[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((e: { data: string }) => void) | null = null;
  onclose: ((e: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  closed = false;
  readonly url: string;
  readonly protocol: string;

  constructor(url: string, protocol: string) {
    this.url = url;
    this.protocol = protocol;
    Wire.all.push(this);
  }
  send(text: string) {
    this.sent.push(JSON.parse(text) as { type: string });
  }
  close() {
    this.closed = true;
    this.readyState = 3;
  }
  open() {
    this.readyState = 1;
    this.onopen?.();
  }
  say(frame: ServerFrame | string) {
    this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) });
  }
  end(code: number, reason = '') {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
}

const connected: ServerFrame = {
  type: 'connected',
  user_id: 'ada',
  model: { name: 'm', label: 'M', demo: true },
  limits: { message_chars: 8000 },
  server_version: 'v1',
  expires_at: '2026-03-14T10:00:00Z',
};

let states: ConnectionState[];
let frames: ServerFrame[];
let refused: number[];
let bad: number;
let chance: number;
/** What the page does with a frame before it is kept. */
let eat: (() => void) | undefined;
let token: () => Promise<string>;
let made: Socket[];

beforeEach(() => {
  jest.useFakeTimers();
  Wire.all = [];
  states = [];
  frames = [];
  refused = [];
  bad = 0;
  chance = 0.5;
  eat = undefined;
  made = [];
  token = () => Promise.resolve('t1');
});
afterEach(() => {
  for (const s of made) s.close();
  jest.useRealTimers();
});

function dial(): Socket {
  const socket = createSocket({
    url: 'ws://host/api/ada/ws',
    open: (url, protocol) => new Wire(url, protocol) as unknown as WebSocket,
    token: () => token(),
    events: {
      connection: (s) => states.push(s),
      frame: (f) => {
        eat?.();
        frames.push(f);
      },
      malformed: () => bad++,
      refused: (code) => refused.push(code),
    },
    now: () => Date.now(),
    random: () => chance,
  });
  made.push(socket);
  return socket;
}

const wire = () => Wire.all.at(-1)!;
const last = () => states.at(-1)!;
const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);
/** Until the next try. */
const retry = () => pass(last().retryAt! - Date.now());

async function online() {
  const socket = dial();
  wire().open();
  await pass(0);
  wire().say(connected);
  return socket;
}

it('says who it is first, and nothing else before it is let in', async () => {
  const socket = dial();
  expect(wire()).toMatchObject({ url: 'ws://host/api/ada/ws', protocol: subprotocol });
  expect(socket.send({ type: 'ping' })).toBe(false);
  wire().open();
  expect(socket.send({ type: 'ping' })).toBe(false);
  await pass(0);
  expect(wire().sent).toEqual([{ type: 'connect', token: 't1' }]);
  expect(last().status).toBe('connecting');
  wire().say(connected);
  expect(last().status).toBe('online');
  expect(socket.send({ type: 'ping' })).toBe(true);
  expect(frames).toEqual([connected]);
});

it('[54] tells the server of a newer token', async () => {
  const socket = await online();
  socket.refresh('t2');
  expect(wire().sent.at(-1)).toEqual({ type: 'refresh', token: 't2' });
});

it('[52] tries again after longer and longer times, up to 15 s, drawn by lot', async () => {
  dial();
  const waits: number[] = [];
  for (let i = 0; i < 8; i++) {
    const at = Date.now();
    const n = Wire.all.length;
    wire().end(1006);
    waits.push(last().retryAt! - at);
    await pass(last().retryAt! - at - 1);
    expect(Wire.all).toHaveLength(n);
    await pass(1);
    expect(Wire.all).toHaveLength(n + 1);
  }
  expect(waits).toEqual([750, 1250, 2250, 4250, 7750, 7750, 7750, 7750]);
});

it.each([
  [0, 500],
  [0.999, 14_985],
])('waits between half a second and 15 s whatever the lot (%d)', async (lot, want) => {
  dial();
  chance = lot;
  for (let i = 0; i < 8; i++) {
    wire().end(1006);
    await retry();
  }
  const at = Date.now();
  wire().end(1006);
  expect(Math.floor(last().retryAt! - at)).toBeCloseTo(want, -1);
});

it('starts with short waits again after a good connection only', async () => {
  dial();
  for (let i = 0; i < 6; i++) {
    wire().end(1006);
    await retry();
  }
  wire().open();
  await pass(0);
  wire().say(connected);
  await pass(1000);
  wire().end(1006);
  expect(last().retryAt! - Date.now()).toBe(7750);
  await retry();
  wire().open();
  await pass(0);
  wire().say(connected);
  await pass(11_000);
  wire().end(1006);
  expect(last().retryAt! - Date.now()).toBe(750);
});

it('waits as long as the server asks', async () => {
  await online();
  wire().end(1012, 'retry_after=4');
  expect(last().retryAt! - Date.now()).toBe(4000);
  await pass(4000);
  wire().open();
  await pass(0);
  wire().say({ type: 'error', code: 'unavailable', message: 'Later.', retry_after: 6 });
  wire().end(1013);
  expect(last().retryAt! - Date.now()).toBe(6000);
});

it.each([4401, 4403])('does not come back by itself after %d', async (code) => {
  const socket = await online();
  wire().end(code, 'no');
  expect(refused).toEqual([code]);
  expect(last().status).toBe('offline');
  expect(last().retryAt).toBeUndefined();
  await pass(60_000);
  socket.check();
  socket.reconnectNow();
  expect(Wire.all).toHaveLength(1);
});

it.each([1000, 1001, 1006, 1011, 1012, 4400, 4408, 4429])('comes back after %d', async (code) => {
  await online();
  wire().end(code);
  await retry();
  expect(Wire.all).toHaveLength(2);
  expect(refused).toEqual([]);
});

it('is refused when no token can be had, and tries again when that is only the network', async () => {
  token = () => Promise.reject(Object.assign(new Error('no'), { status: 0, code: 'network' }));
  dial();
  wire().open();
  await pass(0);
  expect(refused).toEqual([]);
  await retry();
  expect(Wire.all).toHaveLength(2);
  token = () => Promise.reject(Object.assign(new Error('no'), { status: 401 }));
  wire().open();
  await pass(0);
  expect(refused).toEqual([4401]);
});

it('[52] finds a dead connection in less than 30 s', async () => {
  await online();
  const old = wire();
  await pass(12_000);
  expect(old.sent.at(-1)).toEqual({ type: 'ping' });
  await pass(7_999);
  expect(last().status).toBe('online');
  await pass(1);
  expect(last().status).toBe('offline');
  expect(old.closed).toBe(true);
});

it('keeps a quiet connection whose server answers', async () => {
  await online();
  for (let i = 0; i < 20; i++) {
    await pass(12_000);
    expect(wire().sent.at(-1)).toEqual({ type: 'ping' });
    wire().say({ type: 'pong' });
  }
  expect(Wire.all).toHaveLength(1);
  expect(last().status).toBe('online');
});

it('does not ask a server that talks', async () => {
  await online();
  for (let i = 0; i < 20; i++) {
    await pass(10_000);
    wire().say({ type: 'live', conversation_id: 'c', n: i });
  }
  expect(wire().sent.filter((f) => f.type === 'ping')).toEqual([]);
});

it('gives up a handshake that leads nowhere', async () => {
  dial();
  await pass(10_000);
  expect(last().status).toBe('offline');
  await pass(1000);
  expect(Wire.all).toHaveLength(2);
});

it('[52] connects at once when the network or the page is back', () => {
  const socket = dial();
  wire().end(1006);
  socket.check();
  expect(Wire.all).toHaveLength(2);
  expect(last().status).toBe('connecting');
});

it('doubts a connection that looks good when the network or the page is back', async () => {
  const socket = await online();
  socket.check();
  expect(wire().sent.at(-1)).toEqual({ type: 'ping' });
  await pass(4_000);
  expect(last().status).toBe('offline');
});

it('connects now when told to, and hears no more from the old connection', async () => {
  const socket = await online();
  const old = wire();
  const hear = old.onmessage;
  socket.reconnectNow();
  expect(old.closed).toBe(true);
  expect(old.onmessage).toBeNull();
  expect(hear).not.toBeNull();
  expect(Wire.all).toHaveLength(2);
});

it('counts frames that make no sense and says so, and ignores those of a later kind', async () => {
  const socket = await online();
  for (const text of ['{', '[]', '{"type":"delta","run_id":7}', '{"type":"live","conversation_id":"c","n":-1}']) {
    wire().say(text);
  }
  expect(bad).toBe(4);
  expect(socket.malformed).toBe(4);
  wire().say('{"type":"weather","sun":true}');
  expect(bad).toBe(4);
  expect(frames).toHaveLength(1);
});

it('counts a frame that fits nothing here, and goes on', async () => {
  await online();
  eat = () => {
    throw new RangeError('commit 9 after 3');
  };
  wire().say({ type: 'live', conversation_id: 'c', n: 9 });
  expect(bad).toBe(1);
  eat = undefined;
  wire().say({ type: 'live', conversation_id: 'c', n: 3 });
  expect(frames.at(-1)).toMatchObject({ n: 3 });
});

it('ends for good when closed', async () => {
  const socket = await online();
  socket.close();
  expect(wire().closed).toBe(true);
  await pass(60_000);
  expect(Wire.all).toHaveLength(1);
  expect(socket.send({ type: 'ping' })).toBe(false);
});
