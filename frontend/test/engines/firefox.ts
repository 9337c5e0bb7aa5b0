import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';

import { executable } from '../e2e/browser';
import { line, stop } from './process';
import { found, keys, patience, watch, type Engine, type Seen, type Tab } from './tab';

/** How BiDi writes values of the page (https://www.w3.org/TR/webdriver-bidi/#type-script-RemoteValue). */
interface Remote {
  type: string;
  value?: unknown;
  sharedId?: string;
}

type Called = { type: 'success'; result: Remote } | { type: 'exception'; exceptionDetails: { text: string } };

/** A connection to a browser that speaks WebDriver BiDi: commands out, answers and events in. */
class Bidi {
  private readonly ws: WebSocket;
  private readonly waiting = new Map<number, { resolve: (result: never) => void; reject: (err: Error) => void }>();
  private last = 0;

  private constructor(ws: WebSocket, event: (method: string, params: unknown) => void) {
    this.ws = ws;
    ws.on('message', (data: Buffer) => {
      const m = JSON.parse(data.toString()) as {
        id?: number;
        method: string;
        params: unknown;
        result: never;
        error?: string;
        message: string;
      };
      if (m.id === undefined) {
        event(m.method, m.params);
        return;
      }
      const command = this.waiting.get(m.id);
      this.waiting.delete(m.id);
      if (m.error === undefined) command?.resolve(m.result);
      else command?.reject(new Error(`${m.error}: ${m.message}`));
    });
    ws.on('close', () => {
      for (const { reject } of this.waiting.values()) reject(new Error('the browser hung up'));
      this.waiting.clear();
    });
  }

  static async connect(url: string, event: (method: string, params: unknown) => void): Promise<Bidi> {
    const ws = new WebSocket(url);
    await once(ws, 'open');
    return new Bidi(ws, event);
  }

  async send<T>(method: string, params: object): Promise<T> {
    const id = ++this.last;
    let timer: NodeJS.Timeout | undefined;
    const answer = new Promise<T>((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new Error(`${method}: nothing came within ${(2 * patience) / 1000} s`));
      }, 2 * patience);
    });
    this.ws.send(JSON.stringify({ id, method, params }));
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
    }
  }
}

class FirefoxTab implements Tab {
  private readonly bidi: Bidi;
  private readonly context: string;

  constructor(bidi: Bidi, context: string) {
    this.bidi = bidi;
    this.context = context;
  }

  async open(url: string): Promise<void> {
    await this.bidi.send('browsingContext.navigate', { context: this.context, url, wait: 'complete' });
  }

  async reload(): Promise<void> {
    await this.bidi.send('browsingContext.reload', { context: this.context, wait: 'complete' });
  }

  async write(selector: string, text: string): Promise<void> {
    await this.click(selector);
    await this.type(Array.from(text));
  }

  press(key: keyof typeof keys): Promise<void> {
    return this.type([keys[key]]);
  }

  async click(selector: string): Promise<void> {
    // It may be about to come.
    await this.until((css) => (document.querySelector(css) ? true : undefined), selector);
    const element = await this.call('(css) => document.querySelector(css)', selector);
    await this.act({
      type: 'pointer',
      id: 'mouse',
      actions: [
        { type: 'pointerMove', x: 0, y: 0, origin: { type: 'element', element: { sharedId: element.sharedId } } },
        { type: 'pointerDown', button: 0 },
        { type: 'pointerUp', button: 0 },
      ],
    });
  }

  async until<A, T>(look: (arg: A) => T | undefined, arg: A): Promise<T> {
    // Both ways as text, so that nobody has to read BiDi's form of every value.
    const seen = await this.call(
      `(arg) => new Promise((seen) => (${watch.toString()})(${look.toString()}, JSON.parse(arg), ${patience}, (s) => seen(JSON.stringify(s))))`,
      JSON.stringify(arg ?? null),
    );
    return found(JSON.parse(seen.value as string) as Seen<T>, look);
  }

  private async call(functionDeclaration: string, arg: string): Promise<Remote> {
    const called = await this.bidi.send<Called>('script.callFunction', {
      functionDeclaration,
      arguments: [{ type: 'string', value: arg }],
      target: { context: this.context },
      awaitPromise: true,
    });
    if (called.type === 'exception') throw new Error(called.exceptionDetails.text);
    return called.result;
  }

  private type(pressed: string[]): Promise<void> {
    return this.act({
      type: 'key',
      id: 'keyboard',
      actions: pressed.flatMap((value) => [
        { type: 'keyDown', value },
        { type: 'keyUp', value },
      ]),
    });
  }

  private async act(source: object): Promise<void> {
    await this.bidi.send('input.performActions', { context: this.context, actions: [source] });
  }
}

/** What a new Firefox would do besides showing the page, and a test must not wait for or reach out with. */
const prefs = {
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.region.network.url': '',
  'browser.safebrowsing.blockedURIs.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.topsites.contile.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'extensions.getAddons.cache.enabled': false,
  'extensions.systemAddon.update.enabled': false,
  'intl.accept_languages': 'en-GB, en',
  'media.gmp-manager.updateEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'toolkit.telemetry.enabled': false,
};

/** Starts the distribution's Firefox with a profile of its own, and speaks WebDriver BiDi to it. */
export async function startFirefox(): Promise<Engine> {
  const profile = await mkdtemp(join(tmpdir(), 'parley-firefox-'));
  const lines = Object.entries(prefs).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`,
  );
  await writeFile(join(profile, 'user.js'), lines.join('\n'));
  const child = spawn(
    executable('PARLEY_FIREFOX', 'firefox-esr', 'firefox'),
    ['--headless', '--remote-debugging-port=0', '--profile', profile, '--width=1280', '--height=900', 'about:blank'],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, HOME: profile } },
  );
  const end = async () => {
    await stop(child);
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const url = await line(child, child.stderr, /WebDriver BiDi listening on (ws:\S+)/);
    let problems: string[] = [];
    const bidi = await Bidi.connect(`${url}/session`, (method, params) => {
      if (method !== 'log.entryAdded') return;
      const { level, text } = params as { level: string; text: string | null };
      if (level === 'error' || level === 'warn') problems.push(`${level}: ${text ?? ''}`);
    });
    const { capabilities } = await bidi.send<{ capabilities: { browserName: string; browserVersion: string } }>(
      'session.new',
      { capabilities: {} },
    );
    await bidi.send('session.subscribe', { events: ['log.entryAdded'] });
    const { context } = await bidi.send<{ context: string }>('browsingContext.create', { type: 'tab' });
    return {
      version: `${capabilities.browserName} ${capabilities.browserVersion}`,
      tab: new FirefoxTab(bidi, context),
      problems() {
        const told = problems;
        problems = [];
        return Promise.resolve(told);
      },
      async close() {
        await bidi.send('browser.close', {});
        await end();
      },
    };
  } catch (err) {
    await end();
    throw err;
  }
}
