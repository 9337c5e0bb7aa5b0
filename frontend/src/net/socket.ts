import { decodeFrame } from '../protocol/decode';
import type { ClientFrame, ServerFrame } from '../protocol/types';

export const subprotocol = 'parley.v1';

/** Close codes after which the server does not want this token, or this person, back. */
const refusals = [4401, 4403];

/** Silence after which the server is asked whether it is there, and how long it may take to say so. */
const pingAfter = 12_000;
const pongWithin = 8_000;
/** The same after something has happened that often goes with a lost connection. */
const doubtWithin = 4_000;
const connectWithin = 10_000;

const shortestWait = 500;
const longestWait = 15_000;
/** A connection that lasted this long was a good one: the next try comes soon again. */
const goodAfter = 10_000;

export interface ConnectionState {
  status: 'connecting' | 'online' | 'offline';
  retryAt?: number;
  since: number;
}

export interface SocketEvents {
  connection(state: ConnectionState): void;
  frame(frame: ServerFrame): void;
  malformed(): void;
  refused(code: number): void;
}

interface Options {
  url: string;
  open(url: string, protocol: string): WebSocket;
  token(): Promise<string>;
  events: SocketEvents;
  now(): number;
  random(): number;
}

/** A WebSocket that keeps itself connected. */
export interface Socket {
  send(frame: ClientFrame): boolean;
  /** A newer token of the same sign-in. */
  refresh(token: string): void;
  /** Try now instead of later; with a connection that looks good, this makes another. */
  reconnectNow(): void;
  /** The network or the page has come back: is the connection still there? */
  check(): void;
  close(): void;
  /** How many frames made no sense. */
  readonly malformed: number;
}

export function createSocket(o: Options): Socket {
  let ws: WebSocket | undefined;
  let online = false;
  let ended = false;
  let tries = 0;
  let onlineSince = 0;
  let retryAfter: number | undefined;
  let malformed = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let watchdog: ReturnType<typeof setTimeout> | undefined;

  const tell = (status: ConnectionState['status'], retryAt?: number) =>
    o.events.connection({ status, since: o.now(), ...(retryAt !== undefined && { retryAt }) });

  /** Forgets the socket without waiting for its close: a dead one takes minutes to say so. */
  function drop() {
    clearTimeout(watchdog);
    const old = ws;
    ws = undefined;
    online = false;
    if (!old) return;
    old.onopen = old.onmessage = old.onclose = old.onerror = null;
    old.close();
  }

  function dial() {
    clearTimeout(timer);
    timer = undefined;
    drop();
    if (ended) return;
    tell('connecting');
    const socket = o.open(o.url, subprotocol);
    ws = socket;
    watchdog = setTimeout(lost, connectWithin);
    socket.onopen = () => {
      o.token().then(
        (token) => {
          if (ws === socket) socket.send(JSON.stringify({ type: 'connect', token } satisfies ClientFrame));
        },
        (err: unknown) => {
          if (ws !== socket) return;
          const status = typeof err === 'object' && err !== null && 'status' in err ? err.status : 0;
          if (status === 401 || status === 403 || status === 404) refuse(4401);
          else lost();
        },
      );
    };
    socket.onmessage = (e) => receive(e.data);
    socket.onclose = (e) => {
      const wait = /(?:^|[ ;])retry_after=(\d+(?:\.\d+)?)/.exec(e.reason)?.[1];
      if (wait !== undefined) retryAfter = Number(wait);
      if (refusals.includes(e.code)) refuse(e.code);
      else lost();
    };
  }

  function refuse(code: number) {
    drop();
    ended = true;
    tell('offline');
    o.events.refused(code);
  }

  /** The connection is gone, or was never made. */
  function lost() {
    if (online && o.now() - onlineSince > goodAfter) tries = 0;
    drop();
    if (ended) return;
    const ceiling = Math.min(longestWait, shortestWait * 2 ** ++tries);
    const wait = Math.max(shortestWait + o.random() * (ceiling - shortestWait), (retryAfter ?? 0) * 1000);
    retryAfter = undefined;
    clearTimeout(timer);
    timer = setTimeout(dial, wait);
    tell('offline', o.now() + wait);
  }

  function receive(data: unknown) {
    heard();
    let frame: ServerFrame | undefined;
    try {
      frame = decodeFrame(String(data));
    } catch {
      malformed++;
      if (online) o.events.malformed();
      return;
    }
    if (!frame) return; // of a kind that came later
    if (frame.type === 'connected') {
      online = true;
      onlineSince = o.now();
      heard();
      tell('online');
    } else if (frame.type === 'error' && frame.id === undefined && frame.retry_after !== undefined) {
      retryAfter = frame.retry_after;
    }
    try {
      o.events.frame(frame);
    } catch {
      // It passed for a frame and does not fit what is here.
      malformed++;
      o.events.malformed();
    }
  }

  /** Something came: the server is there. */
  function heard() {
    if (!ws) return;
    clearTimeout(watchdog);
    watchdog = setTimeout(() => ask(pongWithin), online ? pingAfter : connectWithin);
  }

  function ask(within: number) {
    clearTimeout(watchdog);
    if (!send({ type: 'ping' })) {
      lost();
      return;
    }
    watchdog = setTimeout(lost, within);
  }

  function send(frame: ClientFrame): boolean {
    if (!online || ws?.readyState !== 1) return false;
    ws.send(JSON.stringify(frame));
    return true;
  }

  dial();
  return {
    send,
    refresh: (token) => void send({ type: 'refresh', token }),
    reconnectNow() {
      if (ended) return;
      tries = 0;
      dial();
    },
    check() {
      if (ended) return;
      if (online) ask(doubtWithin);
      else if (timer !== undefined) dial();
    },
    close() {
      ended = true;
      clearTimeout(timer);
      drop();
    },
    get malformed() {
      return malformed;
    },
  };
}
