import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

import { early, freePort, line, stop } from './process';
import { found, keys, patience, watch, type Engine, type Seen, type Tab } from './tab';

/** How WebDriver names an element. */
const elementKey = 'element-6066-11e4-a52e-4f735466cecf';

/** One session of a driver: https://www.w3.org/TR/webdriver2/ */
class Session implements Tab {
  private readonly url: string;

  private constructor(url: string) {
    this.url = url;
  }

  static async start(driver: string): Promise<{ session: Session; version: string }> {
    const made = await request<{ sessionId: string; capabilities: { browserName: string; browserVersion: string } }>(
      `${driver}/session`,
      { capabilities: { alwaysMatch: { timeouts: { script: 2 * patience, pageLoad: patience } } } },
    );
    const { browserName, browserVersion } = made.capabilities;
    const url = `${driver}/session/${made.sessionId}`;
    // Wide enough for the tasks to stand beside the chat.
    await request(`${url}/window/rect`, { x: 0, y: 0, width: 1280, height: 900 });
    return { session: new Session(url), version: `${browserName} ${browserVersion}` };
  }

  async open(url: string): Promise<void> {
    await request(`${this.url}/url`, { url });
    await this.listen();
  }

  async reload(): Promise<void> {
    await request(`${this.url}/refresh`, {});
    await this.listen();
  }

  /** WebDriver has no way to the console: the page itself writes down what goes wrong from here on. */
  private async listen(): Promise<void> {
    await this.run(() => {
      const problems: string[] = [];
      Object.assign(window, { problems });
      addEventListener('error', (e) => problems.push(e.message));
      addEventListener('unhandledrejection', (e) => problems.push(String(e.reason)));
      document.addEventListener('securitypolicyviolation', (e) =>
        problems.push(`CSP: ${e.effectiveDirective} ${e.blockedURI} ${e.sample}`),
      );
    });
  }

  problems(): Promise<string[]> {
    return this.run(() => (window as unknown as { problems: string[] }).problems.splice(0));
  }

  private run<T>(script: () => T): Promise<T> {
    return request<T>(`${this.url}/execute/sync`, { script: `return (${script.toString()})()`, args: [] });
  }

  async write(selector: string, text: string): Promise<void> {
    const element = await this.find(selector);
    await request(`${element}/click`, {});
    await request(`${element}/value`, { text });
  }

  async press(key: keyof typeof keys): Promise<void> {
    const focused = await request<Record<string, string>>(`${this.url}/element/active`);
    await request(`${this.url}/element/${focused[elementKey] ?? ''}/value`, { text: keys[key] });
  }

  async click(selector: string): Promise<void> {
    await request(`${await this.find(selector)}/click`, {});
  }

  async until<A, T>(look: (arg: A) => T | undefined, arg: A): Promise<T> {
    const script = `(${watch.toString()})(${look.toString()}, arguments[0], ${patience}, arguments[arguments.length - 1])`;
    return found(await request<Seen<T>>(`${this.url}/execute/async`, { script, args: [arg] }), look);
  }

  async close(): Promise<void> {
    await request(this.url, undefined, 'DELETE');
  }

  private async find(selector: string): Promise<string> {
    // It may be about to come.
    await this.until((css) => (document.querySelector(css) ? true : undefined), selector);
    const element = await request<Record<string, string>>(`${this.url}/element`, {
      using: 'css selector',
      value: selector,
    });
    return `${this.url}/element/${element[elementKey] ?? ''}`;
  }
}

/** One command; an error of the driver's is thrown with its own words. */
async function request<T>(url: string, body?: unknown, method = body === undefined ? 'GET' : 'POST'): Promise<T> {
  const res = await fetch(url, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
    signal: AbortSignal.timeout(3 * patience),
  });
  const { value } = (await res.json()) as { value: T & { error?: string; message?: string } };
  if (!res.ok) {
    const what = new URL(url).pathname.replace(/^\/session\/[^/]+/, '');
    throw new Error(`${method} ${what}: ${value.error ?? res.status}: ${value.message ?? ''}`);
  }
  return value;
}

/**
 * Starts WebKitGTK's own small browser by its WebDriver, on a display that
 * nobody sees and with a home of its own.
 */
export async function startWebKit(): Promise<Engine> {
  const home = await mkdtemp(join(tmpdir(), 'parley-webkit-'));
  const children: ChildProcess[] = [];
  const end = async () => {
    for (const child of children.reverse()) await stop(child);
    await rm(home, { recursive: true, force: true });
  };
  try {
    const display = spawn(
      process.env.PARLEY_XVFB ?? 'Xvfb',
      ['-displayfd', '3', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] },
    );
    children.push(display);
    const number = await line(display, display.stdio[3] as Readable, /^(\d+)$/);

    const port = await freePort();
    const driver = spawn(process.env.PARLEY_WEBKIT_DRIVER ?? 'WebKitWebDriver', [`--port=${port}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        PATH: process.env.PATH,
        HOME: home,
        XDG_RUNTIME_DIR: home,
        LANG: 'C.UTF-8',
        TZ: 'Europe/Paris',
        DISPLAY: `:${number}`,
        GDK_BACKEND: 'x11',
        GSETTINGS_BACKEND: 'memory',
        NO_AT_BRIDGE: '1',
        // There is no graphics card to draw with.
        LIBGL_ALWAYS_SOFTWARE: '1',
        WEBKIT_DISABLE_DMABUF_RENDERER: '1',
      },
    });
    children.push(driver);
    await listening(driver, port);
    const { session, version } = await Session.start(`http://127.0.0.1:${port}`);
    return {
      version,
      tab: session,
      problems: () => session.problems(),
      async close() {
        await session.close();
        await end();
      },
    };
  } catch (err) {
    await end();
    throw err;
  }
}

/** The driver says nothing when it is ready: it is asked until it answers. */
async function listening(driver: ChildProcess, port: number): Promise<void> {
  const ready = async () => {
    for (const until = Date.now() + patience; ; await new Promise((next) => setTimeout(next, 20))) {
      try {
        await request(`http://127.0.0.1:${port}/status`);
        return;
      } catch (err) {
        if (Date.now() > until) throw err;
      }
    }
  };
  await Promise.race([ready(), early(driver)]);
}
