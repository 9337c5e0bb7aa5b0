import type { BrowserContext, WebSocketRoute } from 'playwright-core';

import { errorInfo } from '../../src/core/errors';
import type { Socket } from '../../src/core/ports';
import type { ClientFrame } from '../../src/protocol/types';
import { Server as Memory } from '../unit/server';

/**
 * Puts a Parley in memory between the real page and its server: what it says, and
 * when, is in the hands of the test. Page, sign-in and configuration are the server's.
 */
export class Script {
  readonly memory = new Memory();
  /** How the issuer answers; undefined: as the real one. */
  token: { status: number; body: unknown } | undefined;
  /** Frames that are sent as they are, instead of those of the memory. */
  raw: ((f: ClientFrame, say: (frame: object | string) => void) => boolean) | undefined;
  private readonly sockets = new Set<WebSocketRoute>();

  async attach(context: BrowserContext): Promise<this> {
    const { user } = this.memory;
    await context.route(/\/api\/dev\/token$/, async (route) => {
      if (this.token) await route.fulfill({ status: this.token.status, json: this.token.body });
      else await route.fallback();
    });
    await context.route(new RegExp(`/api/${user}/`), async (route) => {
      const url = new URL(route.request().url());
      try {
        const json = await this.read(url.pathname.split('/').slice(3).map(decodeURIComponent), url.searchParams);
        await route.fulfill({ json });
      } catch (err) {
        const { code, message } = errorInfo(err);
        await route.fulfill({ status: 404, json: { error: { code, message, request_id: 'req-0123456789' } } });
      }
    });
    await context.routeWebSocket(new RegExp(`/api/${user}/ws`), (ws) => this.serve(ws));
    return this;
  }

  /** Closes every socket, as the server does. */
  async close(code: number, reason = ''): Promise<void> {
    await Promise.all([...this.sockets].map((ws) => ws.close({ code, reason })));
  }

  /** Sends text as it is to every socket. */
  say(text: string): void {
    for (const ws of this.sockets) ws.send(text);
  }

  private serve(ws: WebSocketRoute) {
    let socket: Socket | undefined;
    const say = (frame: object | string) => ws.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
    this.sockets.add(ws);
    ws.onClose(() => {
      this.sockets.delete(ws);
      socket?.close();
    });
    ws.onMessage((text) => {
      const f = JSON.parse(String(text)) as ClientFrame;
      if (f.type === 'ping') say({ type: 'pong' });
      else if (this.raw?.(f, say)) return;
      else if (f.type === 'connect') {
        socket = this.memory.connect(this.memory.user, {
          connection: () => undefined,
          frame: say,
          malformed: () => undefined,
          refused: (code) => void ws.close({ code }),
        });
      } else socket?.send(f);
    });
  }

  private read(parts: readonly string[], query: URLSearchParams): Promise<unknown> {
    const { api, user } = this.memory;
    const [what = '', id = '', part] = parts;
    const after = query.get('after');
    const before = query.get('before');
    if (what === 'conversations' && part === 'messages')
      return api.messages(user, id, before === null ? {} : { before });
    if (what === 'conversations' && part === 'events') return api.events(user, id, Number(after ?? 0));
    if (what === 'conversations') return api.conversations(user, {});
    if (what === 'tasks' && part === 'history') return api.taskHistory(user, Number(id), {});
    if (what === 'tasks') return api.tasks(user, {});
    throw Object.assign(new Error(`nothing at ${parts.join('/')}`), { code: 'not_found' });
  }
}
